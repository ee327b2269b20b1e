/* segment_posix.h - between segment_posix.c, which has what Linux and macOS share, and the file of each. */
#ifndef PP_SEGMENT_POSIX_H
#define PP_SEGMENT_POSIX_H

/* The status that says what errno does: PP_NOMEM or PP_OSERROR. */
int pp_segment_failed(void);

/* The same, on a way out: closes a descriptor, and leaves errno as it is. */
int pp_segment_undo(int fd);

#endif
