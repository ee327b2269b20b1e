/* test_segment.c - segments: what they are made of, who can open them, and what no memory looks like. */
#define _GNU_SOURCE /* F_GET_SEALS, memfd_create */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "layout.h"
#include "segment.h"

static void a_fresh_segment_is_zero_and_whole_pages(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 5000), PP_OK);
    CHECK_EQUAL(segment.nbytes % (uint64_t)sysconf(_SC_PAGESIZE), 0);
    CHECK(segment.nbytes >= 5000);
    for (uint64_t i = 0; i < segment.nbytes; i++) CHECK_EQUAL(segment.base[i], 0);
    pp_segment_close(&segment);
    CHECK(segment.base == NULL);
    pp_segment_close(&segment);
}

static void a_large_segment_has_no_pages_until_they_are_reserved(void) {
    pp_segment segment;
    struct stat found;
    CHECK_EQUAL(pp_segment_create(&segment, (uint64_t)1 << 36), PP_OK);
    CHECK_EQUAL(fstat(segment.fd, &found), 0);
    CHECK_EQUAL(found.st_blocks, 0);
    CHECK_EQUAL(pp_segment_reserve(&segment, (uint64_t)1 << 30, 1 << 20), PP_OK);
    CHECK_EQUAL(fstat(segment.fd, &found), 0);
    CHECK_EQUAL(found.st_blocks * 512, 1 << 20);
    pp_segment_close(&segment);
}

static void reserving_keeps_what_was_written(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 1 << 20), PP_OK);
    memset(segment.base, 7, 100);
    CHECK_EQUAL(pp_segment_reserve(&segment, 0, 1 << 20), PP_OK);
    CHECK_EQUAL(segment.base[99], 7);
    CHECK_EQUAL(pp_segment_reserve(&segment, segment.nbytes, 1), PP_CORRUPT);
    CHECK_EQUAL(pp_segment_reserve(&segment, 1, UINT64_MAX), PP_CORRUPT);
    pp_segment_close(&segment);
}

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

static void impossible_sizes_are_errors(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, 0), PP_OSERROR);
    CHECK_EQUAL(pp_segment_create(&segment, UINT64_MAX), PP_OSERROR);
    CHECK(segment.base == NULL);
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
    RUN(a_fresh_segment_is_zero_and_whole_pages);
    RUN(a_large_segment_has_no_pages_until_they_are_reserved);
    RUN(reserving_keeps_what_was_written);
    RUN(a_segment_is_sealed_to_its_size);
    RUN(another_mapping_sees_the_same_bytes);
    RUN(a_file_that_is_too_small_is_refused_and_stays_the_callers);
    RUN(impossible_sizes_are_errors);
    RUN(a_failed_creation_leaves_no_descriptor);
    return 0;
}
