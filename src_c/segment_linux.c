/* segment_linux.c - anonymous shared memory by memfd_create (Linux 3.17 and later).
 *
 * A memfd lives as long as a descriptor or a mapping of it does, so the death of every participant
 * frees it, kill -9 of all of them included.  There is no step in which a crash leaves something.
 */
#if defined(__linux__)
#define _GNU_SOURCE /* memfd_create, fallocate */

#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"

static int status_of(int error) { return error == ENOMEM || error == ENOSPC ? PP_NOMEM : PP_OSERROR; }

static uint64_t round_to_pages(uint64_t nbytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (nbytes + page - 1) / page * page;
}

static int map(pp_segment *segment, int fd, uint64_t nbytes) {
    void *base = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
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
    int fd = memfd_create("pypeln", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return status_of(errno);
    nbytes = round_to_pages(nbytes);
    int status;
    /* Sealed to its size: who truncates it would turn the next access of the others into SIGBUS. */
    if (ftruncate(fd, (off_t)nbytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        status = status_of(errno);
    else
        status = map(segment, fd, nbytes);
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
    if (offset > segment->nbytes || nbytes > segment->nbytes - offset) return PP_CORRUPT;
    if (nbytes == 0) return PP_OK;
    int result;
    do /* a signal undoes the call: nothing was reserved */
        result = fallocate(segment->fd, 0, (off_t)offset, (off_t)nbytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? PP_OK : status_of(errno);
}

void pp_segment_close(pp_segment *segment) {
    if (segment->base == NULL) return;
    munmap(segment->base, segment->nbytes);
    if (segment->fd >= 0) close(segment->fd);
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
}
#endif
