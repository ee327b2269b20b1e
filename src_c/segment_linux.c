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
#include <unistd.h>

#include "layout.h"
#include "segment_posix.h"

int pp_os_segment_new(int *fd, uint64_t nbytes) {
    *fd = memfd_create("pypeln", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0) return pp_segment_failed();
    /* Sealed to its size: who truncates it would turn the next access of the others into SIGBUS. */
    if (ftruncate(*fd, (off_t)nbytes) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return pp_segment_undo(*fd);
    return PP_OK;
}

int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes) {
    if (offset > segment->nbytes || nbytes > segment->nbytes - offset) return PP_CORRUPT;
    if (nbytes == 0) return PP_OK;
    int result;
    do /* a signal undoes the call: nothing was reserved */
        result = fallocate(segment->fd, 0, (off_t)offset, (off_t)nbytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? PP_OK : pp_segment_failed();
}
#endif
