/* park.h - waiting for a change of shared memory, and waking those who wait.
 *
 * A spot is where the waiters of one condition meet ("the ring is not empty").  Protocol:
 *
 *   waiter                                    waker
 *   key = epoch                               publish the change         (seq_cst store)
 *   waiters += 1            (seq_cst)         look at waiters            (seq_cst load)
 *   look at the condition   (seq_cst load)    if any: take a token, epoch += 1, wake one
 *   sleep while epoch == key
 *
 * Either the waker's look sees the waiter, or the waiter's look sees the change: both sides write
 * first and look second, and all four are in the one order of sequentially consistent operations
 * (Dekker).  The change of the epoch closes the gap between the waiter's look and its sleep.
 *
 * A registration is a token that wakers consume.  A waiter that leaves on its own (a time-out, a
 * signal, death) leaves its token behind: one later wake finds nobody, which costs a system call and
 * harms nobody.  There can be too many tokens, never too few, so no death of a waiter needs repair.
 * A waker that dies between taking a token and waking loses that wake: after a death is proven, all
 * waiters of the run are woken (pp_spot_wake_all).
 *
 * An event loop cannot sleep here.  It arms the spot instead (a bit of the same word), looks again,
 * and the waker rings its bell: a byte count written to an eventfd or pipe, or an event object that is set.
 */
#ifndef PP_PARK_H
#define PP_PARK_H

#include "layout.h"

#define PP_ARMED ((uint32_t)1 << 31)

typedef struct pp_spot {
    pp_a32 epoch;
    pp_a32 waiters; /* tokens, and PP_ARMED when an event loop wants its bell rung */
    uint32_t shared; /* 1 when the spot lies in memory that processes share */
    uint32_t asleep; /* a word of the system's part, where the kernel does not count sleepers for us */
    uint64_t name;   /* of a shared spot, where the kernel finds sleepers by name; else 0 */
} pp_spot;

/* A spot in fresh memory, before anybody else sees it. */
void pp_spot_create(pp_spot *spot, bool shared);

/* Announce a wait. Look at the condition after this and before pp_spot_sleep. */
static inline uint32_t pp_spot_register(pp_spot *spot) {
    uint32_t key = pp_load_acq(&spot->epoch);
    pp_add_seq(&spot->waiters, 1);
    return key;
}

/* Sleep until woken or for timeout_ns.  PP_OK (woken, perhaps for nothing), PP_TIMEOUT, PP_SIGNAL. */
int pp_spot_sleep(pp_spot *spot, uint32_t key, uint64_t timeout_ns);

/* Ask for the bell.  Look at the condition after this and before going back to the loop. */
void pp_spot_arm(pp_spot *spot);

/* The slow half of pp_spot_notify. */
void pp_spot_wake(pp_spot *spot, int bell);

/* Wake one waiter, if there is any, after a change was published with a seq_cst store.
 * `bell` is this process's descriptor of the event loop's bell, or -1. */
static inline void pp_spot_notify(pp_spot *spot, int bell) {
    if (pp_load_seq(&spot->waiters) != 0) pp_spot_wake(spot, bell);
}

/* Wake everybody: the queue closed, the run was aborted, or a waker may have died. */
void pp_spot_wake_all(pp_spot *spot, int bell);

/* Sleep for about `ns` without being wakeable: cheaper for both sides when data keeps coming. */
void pp_nap(uint64_t ns);

/* Ring a bell: write to an eventfd or a pipe; on Windows set the event whose handle it is. */
void pp_bell_ring(int bell);

/* The system's part, in park_<system>.c: sleep while *word == expected, and wake up to `count`. The word is
 * the epoch of a spot. */
int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t timeout_ns, bool shared);
void pp_os_wake(pp_a32 *word, int count, bool shared);
/* What a new shared spot is called, where a name is needed; else 0. */
uint64_t pp_os_name(void);

#endif
