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
#include <unistd.h>

#include "layout.h"
#include "segment_posix.h"

/* A name can only be taken by chance or by an attacker who guesses 64 random bits. */
#define NAME_ATTEMPTS 16

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

int pp_os_segment_new(int *fd, uint64_t nbytes) {
    *fd = open_unnamed();
    if (*fd < 0) return pp_segment_failed();
    return ftruncate(*fd, (off_t)nbytes) == 0 ? PP_OK : pp_segment_undo(*fd);
}

int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) {
    /* Nothing to do, and no call that would. */
    return offset > segment->nbytes || nbytes > segment->nbytes - offset ? PP_CORRUPT : PP_OK;
}
#endif
