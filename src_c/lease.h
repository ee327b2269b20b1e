/* lease.h - what a worker has taken and not yet answered for, kept where its death cannot take it.
 *
 * One lease per worker, in the shared memory of the run.  Only the worker writes it while it lives;
 * only the supervisor writes it once the worker is proven dead, and before a replacement starts.
 *
 * `in` and `out` are each one atomic word, so every step of the worker moves the lease from one
 * consistent state to the next:
 *
 *   take     copy the slot into `element`, then in = position + 1, then free the slot
 *   emit     out = (emitted, position + 1), publish the slot, then out = (emitted + 1, 0)
 *   answer   in = 0, out = 0 at the next take; then the block is released
 *
 * A death between "publish" and the last store of emit is decided by looking at the slot: past
 * WRITING by this owner means published (pp_ring_settle, before any slot is mended).  A death
 * between in = 0 and the release of the block leaks that block until the run ends; the other order
 * could free it twice.
 */
#ifndef PP_LEASE_H
#define PP_LEASE_H

#include "layout.h"

enum pp_worker_state { PP_STARTING = 0, PP_WAITING = 1, PP_WORKING = 2, PP_FINISHED = 3 };

/* What a replacement has to do with the element it finds in its lease. */
enum pp_fate {
    PP_FATE_NONE = 0,
    PP_FATE_DROP = 1, /* it timed out: close its index and answer for it */
    PP_FATE_RETRY = 2 /* execute it again, without the outputs that are out already */
};

typedef struct pp_lease {
    pp_a64 in;         /* position + 1 of the element in hand; 0: none */
    pp_a64 out;        /* emitted << PP_OUT_SHIFT | position + 1 of the slot being published */
    pp_a64 out_ring;   /* which outlet that position belongs to */
    pp_a64 started_ns; /* when f began with it, less the time spent waiting for room; 0: f is not running */
    pp_a32 state;      /* enum pp_worker_state */
    pp_a32 fate;       /* enum pp_fate, set by the supervisor */
    uint64_t unused[3];
    pp_slot element; /* the element in hand; its word is not used */
    /* Each element of the stage ends in exactly one of these. */
    pp_a64 taken;
    pp_a64 emitted;
    pp_a64 filtered;
    pp_a64 failed;
    pp_a64 timed_out;
    pp_a64 lost;
    pp_a64 sent; /* elements put into the outlets, children included */
    pp_a64 restarts;
} pp_lease;

#define PP_OUT_SHIFT 44
#define PP_OUT_MASK (((uint64_t)1 << PP_OUT_SHIFT) - 1)

_Static_assert(sizeof(pp_lease) % 64 == 0, "leases of neighbours share no line");

#endif
