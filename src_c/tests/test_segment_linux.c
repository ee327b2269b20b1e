/* test_segment_linux.c - what memfd gives: seals, descriptors that are taken over, and what no memory looks like. */
#define _GNU_SOURCE /* memfd_create */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "layout.h"
#include "segment.h"

static void a_segment_is_sealed_to_its_size(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 1 << 16), PP_OK);
    CHECK(ftruncate(segment.fd, 0) != 0);
    CHECK(ftruncate(segment.fd, 1 << 20) != 0);
    CHECK(fcntl(segment.fd, F_GETFD) & FD_CLOEXEC);
    pp_segment_close(&segment);
}

static void another_mapping_sees_the_same_bytes(void) {
    pp_segment segment, other;
    CHECK_EQUAL(pp_segment_create(&segment, 1 << 16), PP_OK);
    int fd = dup(segment.fd);
    CHECK_EQUAL(pp_segment_open(&other, fd, 1 << 16), PP_OK);
    CHECK(other.base != segment.base);
    segment.base[1234] = 42;
    CHECK_EQUAL(other.base[1234], 42);
    pp_segment_close(&segment);
    CHECK_EQUAL(other.base[1234], 42);
    pp_segment_close(&other);
    CHECK(fcntl(fd, F_GETFD) == -1); /* taken over, and so closed */
}

static void a_file_that_is_too_small_is_refused_and_stays_the_callers(void) {
    pp_segment segment;
    int fd = memfd_create("small", 0);
    CHECK_EQUAL(ftruncate(fd, 4096), 0);
    CHECK_EQUAL(pp_segment_open(&segment, fd, 1 << 20), PP_CORRUPT);
    CHECK(segment.base == NULL);
    CHECK_EQUAL(close(fd), 0);
    CHECK_EQUAL(pp_segment_open(&segment, fd, 4096), PP_OSERROR);
}

static void a_failed_creation_leaves_no_descriptor(void) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {1 << 26, 1 << 26};
        int before = dup(0);
        close(before);
        setrlimit(RLIMIT_AS, &limit);
        pp_segment segment;
        int status = pp_segment_create(&segment, (uint64_t)1 << 34);
        int after = dup(0);
        _exit(status == PP_NOMEM && after == before ? 0 : 1);
    }
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
}

int main(void) {
    RUN(a_segment_is_sealed_to_its_size);
    RUN(another_mapping_sees_the_same_bytes);
    RUN(a_file_that_is_too_small_is_refused_and_stays_the_callers);
    RUN(a_failed_creation_leaves_no_descriptor);
    return 0;
}
