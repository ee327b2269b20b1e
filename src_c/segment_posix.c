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

int pp_segment_failed(void) { return errno == ENOMEM || errno == ENOSPC ? PP_NOMEM : PP_OSERROR; }

int pp_segment_undo(int fd) {
    int status = pp_segment_failed();
    pp_os_segment_drop(fd);
    return status;
}

uint64_t pp_os_page_nbytes(void) { return (uint64_t)sysconf(_SC_PAGESIZE); }

int pp_os_segment_map(pp_segment *segment, int fd, uint64_t nbytes) {
    struct stat found;
    if (fstat(fd, &found) != 0) return PP_OSERROR;
    if (found.st_size < 0 || (uint64_t)found.st_size < nbytes) return PP_CORRUPT;
    void *base = mmap(NULL, (size_t)nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) return pp_segment_failed();
    *segment = (pp_segment){.base = base, .nbytes = nbytes, .fd = fd};
    return PP_OK;
}

void pp_os_segment_unmap(pp_segment *segment) { munmap(segment->base, (size_t)segment->nbytes); }

void pp_os_segment_drop(int fd) {
    int error = errno;
    close(fd);
    errno = error;
}
#endif
