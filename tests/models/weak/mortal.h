/* mortal.h - threads of the checker that may die between any two atomic operations of the core.
 *
 * A death is an exception: the core is C and leaves nothing to unwind, so it stops where it is, like a
 * process that is killed.  Who catches it plays the supervisor: whatever the dead did happens before the
 * repair, as the kernel's word that a process is dead guarantees.
 */
#ifndef PP_WEAK_MORTAL_H
#define PP_WEAK_MORTAL_H

#include <relacy/relacy.hpp>

namespace weak {

struct death {};

enum { THREADS_MOST = 8 };

/* Operations that are left to each thread; negative: it does not die. */
inline int steps_left[THREADS_MOST];

inline void nobody_dies() {
    for (int i = 0; i < THREADS_MOST; i++) steps_left[i] = -1;
}

/* The calling thread dies before one of its next `most` operations, or not at all. */
inline void live_for_at_most(unsigned most) {
    unsigned chosen = rl::rand(most + 1);
    steps_left[rl::thread_index()] = chosen == most ? -1 : (int)chosen;
}

inline void live_on() { steps_left[rl::thread_index()] = -1; }

inline void step() {
    int &left = steps_left[rl::thread_index()];
    if (left < 0) return;
    if (left-- == 0) throw death();
}

}  // namespace weak

#endif
