/* segment_darwin.c - anonymous shared memory by shm_open and immediate unlink.
 *
 * The name exists for the few instructions between shm_open and shm_unlink; a process that is killed
 * just there leaves one empty object behind, because its size is set after the name is gone.
 *
 * The system lets the size of such an object be set once, so no participant can shrink it under the others.
 * Its pages are taken from memory and swap when they are touched, and no call reserves them before: where both
 * are used up the system ends processes instead of telling anybody (docs/platforms.md).
 */
#if defined(__APPLE__)
#define _DARWIN_C_SOURCE

#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"

/* A name can only be taken by chance or by an attacker who guesses 64 random bits. */
#define NAME_ATTEMPTS 16

static int status_of(int error) { return error == ENOMEM || error == ENOSPC ? PP_NOMEM : PP_OSERROR; }

static uint64_t round_to_pages(uint64_t nbytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (nbytes + page - 1) / page * page;
}

static int open_unnamed(void) {
    for (int attempt = 0; attempt < NAME_ATTEMPTS; attempt++) {
        uint64_t random;
        char name[32]; /* 31 characters at most */
        arc4random_buf(&random, sizeof random);
        snprintf(name, sizeof name, "/pypeln-%016llx", (unsigned long long)random);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0) {
            shm_unlink(name);
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            return fd;
        }
        if (errno != EEXIST) return -1;
    }
    return -1;
}

static int map(pp_segment *segment, int fd, uint64_t nbytes) {
    void *base = mmap(NULL, (size_t)nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return status_of(errno);
    segment->base = base;
    segment->nbytes = nbytes;
    segment->fd = fd;
    return PP_OK;
}

int pp_segment_create(pp_segment *segment, uint64_t nbytes) {
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
    if (nbytes == 0 || nbytes > INT64_MAX / 2) {
        errno = EINVAL;
        return PP_OSERROR;
    }
    int fd = open_unnamed();
    if (fd < 0) return status_of(errno);
    nbytes = round_to_pages(nbytes);
    int status = ftruncate(fd, (off_t)nbytes) != 0 ? status_of(errno) : map(segment, fd, nbytes);
    if (status != PP_OK) {
        int error = errno;
        close(fd);
        errno = error;
    }
    return status;
}

int pp_segment_open(pp_segment *segment, int fd, uint64_t nbytes) {
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
    struct stat found;
    if (fstat(fd, &found) != 0) return PP_OSERROR;
    nbytes = round_to_pages(nbytes);
    if (nbytes == 0 || found.st_size < 0 || (uint64_t)found.st_size < nbytes) return PP_CORRUPT;
    return map(segment, fd, nbytes);
}

int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) {
    /* Nothing to do, and no call that would. */
    return offset > segment->nbytes || nbytes > segment->nbytes - offset ? PP_CORRUPT : PP_OK;
}

void pp_segment_close(pp_segment *segment) {
    if (segment->base == NULL) return;
    munmap(segment->base, (size_t)segment->nbytes);
    if (segment->fd >= 0) close(segment->fd);
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
}
#endif
