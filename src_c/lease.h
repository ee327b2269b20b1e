/* lease.h - what a worker has taken and not yet answered for, kept where its death cannot take it.
 *
 * One lease per worker, in the shared memory of the run.  Only the worker writes it while it lives;
 * only the supervisor writes it once the worker is proven dead, and before a replacement starts.
 *
 * `in`, `out` and `decided` are each one atomic word, so every step of the worker moves the lease
 * from one consistent state to the next:
 *
 *   take     copy the element into `element`, then in = its place + 1, then free its part of the slot; a sole consumer
 *            copies the whole slot into `pack` before, and notes in `rest` what is left there after
 *   emit     out = (emitted, position of the slot + 1), publish the slot, then out = (emitted + 1, 0)
 *   decide   write the outcome and the counters as they will be, then decided = in; from here on the
 *            element is never executed again, and what is left are END marks and the counters
 *   apply    store the counters; who does it again stores the same
 *   answer   in = 0, out = 0 at the next take; then the block is released
 *
 * A death between "publish" and the last store of emit is decided by looking at the slot: past
 * WRITING by this owner means published (pp_ring_settle, before any slot is mended).  A death
 * between in = 0 and the release of the block leaks that block until the run ends; the other order
 * could free it twice.
 *
 * The place of an element is its slot's position << PP_PART_BITS | which of the slot's elements it is. Places grow
 * for ever, so a word that names one (`decided`, `begun`, `intent`) and does not match `in` is of an earlier element, and
 * means nothing.
 */
#ifndef PP_LEASE_H
#define PP_LEASE_H

#include "layout.h"

enum pp_worker_state { PP_STARTING = 0, PP_WAITING = 1, PP_WORKING = 2, PP_FINISHED = 3 };

/* What a replacement has to do with the element it finds in its lease. */
enum pp_fate {
    PP_FATE_NONE = 0,
    PP_FATE_RETRY = 1,     /* execute it again, without the outputs that are out already */
    PP_FATE_TIMED_OUT = 2, /* f took too long, too often: answer for it as the stage's policy says */
    PP_FATE_LOST = 3       /* it has killed too many workers: the same */
};

/* How an element of a stage ends: which of the counters it is counted in. */
enum pp_outcome {
    PP_EMITTED = 0,
    PP_FILTERED = 1,
    PP_FAILED = 2,
    PP_TIMED_OUT = 3,
    PP_LOST = 4,
    PP_OUTCOMES = 5
};

typedef struct pp_lease {
    pp_a64 in;         /* place + 1 of the element in hand; 0: none */
    pp_a64 out;        /* emitted << PP_OUT_SHIFT | position + 1 of the slot being published */
    pp_a64 out_ring;   /* which outlet that position belongs to */
    pp_a64 started_ns; /* when f began with it, less the time spent waiting for room; 0: f is not running */
    pp_a32 state;      /* enum pp_worker_state */
    pp_a32 fate;       /* enum pp_fate, set by the supervisor */
    pp_a64 begun;       /* (its place + 1) << PP_BEGUN_SHIFT | how often f was begun with that element */
    pp_a64 intent;      /* (its place + 1) << PP_BEGUN_SHIFT | outcome that what is being put stands for */
    pp_a64 sent_before; /* `sent` when f was first begun with an element that may send many */
    pp_slot element;    /* the element in hand; its word is not used */
    pp_a64 taken;
    pp_a64 outcomes[PP_OUTCOMES]; /* each element of the stage ends in exactly one of these */
    pp_a64 sent;                  /* elements put into the outlets, children included */
    pp_a64 retried;
    /* The decision: valid while decided == in. */
    pp_a64 decided; /* its place + 1 */
    pp_a64 outcome;
    pp_a64 puts;     /* elements put for it, all outlets together; END marks come after them */
    pp_a64 count;    /* what outcomes[outcome] becomes */
    pp_a64 sent_now; /* what `sent` becomes */
    pp_a64 restarts;
    pp_a64 lending; /* what `out` will have emitted when the blocks being lent are out */
    /* What came with that element from the slot of a ring that has no other consumer. Where `in` is that place
     * already, the rest begins behind it. */
    pp_a64 rest; /* place of the next << PP_PART_BITS | how many elements `pack` has */
    pp_slot pack;
} pp_lease;

#define PP_OUT_SHIFT 44
#define PP_OUT_MASK (((uint64_t)1 << PP_OUT_SHIFT) - 1)

#define PP_BEGUN_SHIFT 16
#define PP_BEGUN_MASK (((uint64_t)1 << PP_BEGUN_SHIFT) - 1)

/* The element in hand ends like this, with so many puts out; `sent` will be sent_now. */
static inline void pp_lease_decide(pp_lease *lease, uint32_t outcome, uint64_t puts, uint64_t sent_now) {
    /* Only this worker writes its counters. Values and not increments, so that storing them twice is
     * storing them once. */
    pp_store_rlx(&lease->outcome, outcome);
    pp_store_rlx(&lease->puts, puts);
    pp_store_rlx(&lease->count, pp_load_rlx(&lease->outcomes[outcome]) + 1);
    pp_store_rlx(&lease->sent_now, sent_now);
    /* Crash before this store: undecided, executed again or lost. Crash after it: settle counts. */
    pp_store_rel(&lease->decided, pp_load_rlx(&lease->in));
}

/* Count what was decided. Idempotent until the next take. PP_OK, or PP_CORRUPT when it is no outcome. */
static inline int pp_lease_apply(pp_lease *lease) {
    uint64_t outcome = pp_load_rlx(&lease->outcome);
    if (outcome >= PP_OUTCOMES) return PP_CORRUPT;
    pp_store_rel(&lease->outcomes[outcome], pp_load_rlx(&lease->count));
    pp_store_rel(&lease->sent, pp_load_rlx(&lease->sent_now));
    return PP_OK;
}

/* The value that a word which names a position has for the element in hand; 0 when it names another. */
uint64_t pp_lease_noted(const pp_lease *lease, const pp_a64 *word);
/* Note a value, of PP_BEGUN_SHIFT bits, for the element in hand. */
void pp_lease_note(pp_lease *lease, pp_a64 *word, uint64_t value);
/* Whether an element is in hand whose end is not decided. An END mark is one too. */
bool pp_lease_undecided(const pp_lease *lease);
/* After the worker is proven dead and its rings are settled: whether the marks that it left in blocks are to
 * be undone (pp_arena_settle). It marks what it lends before it publishes the slot that refers to it, and what
 * it releases before in = 0. */
bool pp_lease_undoes(const pp_lease *lease);
/* After the worker is proven dead, its rings settled and mended: finish the counting that it began.
 * PP_OK or PP_CORRUPT. */
int pp_lease_settle(pp_lease *lease);

_Static_assert(sizeof(pp_lease) % 64 == 0, "leases of neighbours share no line");

#endif
