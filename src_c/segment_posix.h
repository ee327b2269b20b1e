/* segment_posix.h - between segment_posix.c, which has what Linux and macOS share, and the file of each. */
#ifndef PP_SEGMENT_POSIX_H
#define PP_SEGMENT_POSIX_H

#include <stdint.h>

/* A descriptor of new, zero-filled shared memory that has no name: of nbytes, whole pages, and closed on exec.
 * -1 with errno when there is none; nothing is left then. */
int pp_segment_unnamed(uint64_t nbytes);

/* The status that says what errno did: PP_NOMEM or PP_OSERROR. */
int pp_segment_status(int error);

/* Close a descriptor on a way out, and leave errno as it is.  Returns -1. */
int pp_segment_undo(int fd);

#endif
