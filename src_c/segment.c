/* segment.c - making, opening and closing shared memory that has no name; the calls that do it are the system's, in
 * segment_<system>.c.
 *
 * A segment belongs to one thread of a process until it is handed on; what lies in it is for everybody.
 */
#include "segment.h"

#include <errno.h>
#include <stddef.h>

#include "layout.h"

static const pp_segment CLOSED = {.base = NULL, .nbytes = 0, .fd = -1};

static uint64_t round_to_pages(uint64_t nbytes) {
    uint64_t page = pp_os_page_nbytes();
    return (nbytes + page - 1) / page * page;
}

int pp_segment_create(pp_segment *segment, uint64_t nbytes) {
    int fd;
    *segment = CLOSED;
    if (nbytes == 0 || nbytes > INT64_MAX / 2) {
        errno = EINVAL;
        return PP_OSERROR;
    }
    nbytes = round_to_pages(nbytes);
    int status = pp_os_segment_new(&fd, nbytes);
    if (status != PP_OK) return status;
    status = pp_os_segment_map(segment, fd, nbytes);
    if (status != PP_OK) pp_os_segment_drop(fd);
    return status;
}

int pp_segment_open(pp_segment *segment, int fd, uint64_t nbytes) {
    *segment = CLOSED;
    if (nbytes == 0 || nbytes > INT64_MAX / 2) return PP_CORRUPT;
    return pp_os_segment_map(segment, fd, round_to_pages(nbytes));
}

void pp_segment_close(pp_segment *segment) {
    if (segment->base == NULL) return;
    pp_os_segment_unmap(segment);
    if (segment->fd >= 0) pp_os_segment_drop(segment->fd);
    *segment = CLOSED;
}
