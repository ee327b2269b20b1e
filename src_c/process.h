/* process.h - what only the system can say of processes: which one a pid is, and that a parent is gone.
 *
 * Proof of death is not here, because it is a thing that the supervisor waits for together with others: a pidfd
 * on Linux, a kqueue on macOS, the process's handle on Windows (pypeln/run/death.py).
 */
#ifndef PP_PROCESS_H
#define PP_PROCESS_H

#include <stdint.h>

/* When a process was started, in units of the system: tells it from a later one with the same pid.  0 when none
 * that lives has this pid, or none that may be looked at. */
uint64_t pp_process_born(int64_t pid);

/* From now on this process dies with another, whatever its threads are doing, and without a farewell.  Once in
 * a process.  On Windows `alive` is the handle of the other process.  Elsewhere it is the reading end of a pipe
 * that this process alone has, and only the other process has the writing end.  PP_OK or PP_OSERROR. */
int pp_process_follow(int alive);

#endif
