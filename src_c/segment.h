/* segment.h - anonymous shared memory: no name, so nothing can be guessed and nothing can leak.
 *
 * Linux: memfd_create, sealed against shrinking and growing (a participant that truncates the file
 * would make the others' next access a bus error).  macOS: shm_open under a random name that is unlinked
 * at once.  Windows: an unnamed mapping.  The system's half is in segment_<system>.c, and what Linux and macOS
 * share in segment_posix.c; the rest of the core sees nothing but the interface below.
 *
 * Pages are not there until they are reserved: pp_segment_reserve makes the system commit them, so
 * that running out of memory is a status and never a SIGBUS in the middle of a copy.  On Windows a page that
 * was not reserved cannot be touched at all.  macOS has no such call.
 */
#ifndef PP_SEGMENT_H
#define PP_SEGMENT_H

#include <stdint.h>

typedef struct pp_segment {
    unsigned char *base; /* NULL when closed */
    uint64_t nbytes;     /* of the mapping, a multiple of the page size */
    int fd;              /* what other processes open it by, when it is handed to them: a descriptor, on
                          * Windows the handle of the mapping; -1 once nobody else will */
} pp_segment;

/* Create and map a zero-filled segment of at least nbytes.  PP_OK, PP_NOMEM or PP_OSERROR. */
int pp_segment_create(pp_segment *segment, uint64_t nbytes);

/* Map an existing segment through its descriptor.  The segment takes the descriptor over on PP_OK.
 * PP_CORRUPT when the file is smaller than nbytes. */
int pp_segment_open(pp_segment *segment, int fd, uint64_t nbytes);

/* Commit the pages of [offset, offset + nbytes).  PP_OK, PP_NOMEM or PP_OSERROR. */
int pp_segment_reserve(pp_segment *segment, uint64_t offset, uint64_t nbytes);

/* Unmap and close.  Safe to call twice. */
void pp_segment_close(pp_segment *segment);

/* The system's part, for segment.c alone; `nbytes` is a number of whole pages. */
uint64_t pp_os_page_nbytes(void);
/* New, zero-filled shared memory that has no name, not mapped yet.  PP_OK, PP_NOMEM or PP_OSERROR; nothing is left then. */
int pp_os_segment_new(int *fd, uint64_t nbytes);
/* Map what is at least that large, and leave the segment as it is otherwise.  PP_CORRUPT when it is smaller. */
int pp_os_segment_map(pp_segment *segment, int fd, uint64_t nbytes);
void pp_os_segment_unmap(pp_segment *segment);
/* Close what a segment is opened by; errno stays as it is. */
void pp_os_segment_drop(int fd);

#endif
