/* segment_posix.c - mapping shared memory by a descriptor, as Linux and macOS do alike.
 *
 * Where the descriptor comes from, and whether pages can be reserved, is in segment_linux.c and segment_darwin.c.
 */
#if !defined(_WIN32)
#include "segment_posix.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "segment.h"

int pp_segment_status(int error) { return error == ENOMEM || error == ENOSPC ? PP_NOMEM : PP_OSERROR; }

int pp_segment_undo(int fd) {
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static uint64_t round_to_pages(uint64_t nbytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (nbytes + page - 1) / page * page;
}

static int map(pp_segment *segment, int fd, uint64_t nbytes) {
    void *base = mmap(NULL, (size_t)nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return pp_segment_status(errno);
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
    nbytes = round_to_pages(nbytes);
    int fd = pp_segment_unnamed(nbytes);
    if (fd < 0) return pp_segment_status(errno);
    int status = map(segment, fd, nbytes);
    if (status != PP_OK) pp_segment_undo(fd);
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

void pp_segment_close(pp_segment *segment) {
    if (segment->base == NULL) return;
    munmap(segment->base, (size_t)segment->nbytes);
    if (segment->fd >= 0) close(segment->fd);
    *segment = (pp_segment){.base = NULL, .nbytes = 0, .fd = -1};
}
#endif
