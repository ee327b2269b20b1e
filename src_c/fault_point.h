/* fault_point.h - named places at which a test build kills or stops the process that comes by.
 *
 * For code that cannot be walked through one instruction at a time: what runs in Python, and what lies
 * between a worker's death and its replacement. In an ordinary build a fault point is nothing.
 *
 * In a build with -DPYPELN_FAULT_POINTS=ON the environment says what happens:
 *
 *   PYPELN_FAULT_HITS     a folder; each hit of a point appends one byte to the file "<point>.<who>" there
 *   PYPELN_FAULT_PARENT   the process that is `parent`; every other one is `worker`
 *   PYPELN_FAULT          what to do: "<point>:<who>:<n>:<kill|stop>", several joined by commas; the n-th hit,
 *                         of all processes together, sends itself SIGKILL or SIGSTOP
 *
 * tests/fault_points/run.py knows every point by looking for the marks in the sources.
 */
#ifndef PP_FAULT_POINT_H
#define PP_FAULT_POINT_H

#if defined(PYPELN_FAULT_POINTS)
void pp_fault_point(const char *name);
#define PP_FAULT_POINT(name) pp_fault_point(name)
#else
#define PP_FAULT_POINT(name) ((void)(name))
#endif

#endif
