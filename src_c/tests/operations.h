/* operations.h - what dies, in which queues: the rows of the tables that the *_steps programs print. */
#ifndef PP_TESTS_OPERATIONS_H
#define PP_TESTS_OPERATIONS_H

#include "world.h"

/* Whether what the operation puts is in a block, which its queue's state says. */
static bool act_spills;

/* Something that a worker does, one instruction at a time. */
typedef struct {
    const char *name;
    void (*before)(void); /* what it has done before, undisturbed */
    void (*act)(void);
    bool on_in;           /* it takes from `in`, which is in the state to be tried; else that is `out` */
    unsigned puts;        /* new elements that it puts, each there or not when it dies */
    unsigned has_put;     /* elements that were put before, and must be there */
    unsigned needs;       /* elements that must be in the queue */
    bool shares;          /* only where slots hold several elements is it an operation of its own */
    unsigned may_vanish;
    bool may_leak;        /* one block, as docs/design/crashes.md accepts it */
} operation;

#define DEAD_ACTOR (&actors[DEAD])
#define LEASE (&WORLD->lease)

static inline void outcome(int status) {
    /* Whatever others did meanwhile: it was late, and the memory is sound. */
    CHECK(status != PP_CORRUPT);
    pp_store_rel(&WORLD->outcome, (uint32_t)status);
}

static inline void do_nothing(void) {}

static inline void do_push(void) { outcome(put(DEAD_ACTOR, &DEAD_ACTOR->out, OF_DEAD, act_spills, NULL)); }

static inline void take_into_lease(void) {
    uint64_t element;
    CHECK_EQUAL(pp_pop_lease(&DEAD_ACTOR->in, LEASE), PP_OK);
    element = read_slot(DEAD_ACTOR, &LEASE->element, 0);
    CHECK(element < MOST_ELEMENTS);
}

static inline void do_emit(void) {
    outcome(put(DEAD_ACTOR, &DEAD_ACTOR->out, LEASE->element.head.index0, act_spills, LEASE));
}

static inline void do_pop(void) {
    uint64_t element = 0;
    int status = take(DEAD_ACTOR, &DEAD_ACTOR->in, &element);
    if (status == PP_OK) pp_store_rel(&WORLD->popped, (uint32_t)element + 1);
    outcome(status);
}

static inline void do_pop_lease(void) { outcome(pp_pop_lease(&DEAD_ACTOR->in, LEASE)); }

static inline void take_and_emit(void) {
    take_into_lease();
    do_emit();
    CHECK_EQUAL(pp_load_acq(&WORLD->outcome), PP_OK);
}

/* The element is emitted: decided once, and counted. */
static inline void do_decide(void) {
    pp_lease_decide(LEASE, PP_EMITTED, 1, pp_load_acq(&LEASE->sent) + 1);
    pp_lease_apply(LEASE);
}

static inline void take_emit_and_decide(void) {
    take_and_emit();
    do_decide();
}

static inline void do_answer(void) { answer(DEAD_ACTOR, LEASE); }

static inline void do_cancel(void) {
    pp_slot *slot;
    int status = pp_push_claim(&DEAD_ACTOR->out, &slot);
    if (status == PP_OK) pp_push_cancel(&DEAD_ACTOR->out, slot);
    outcome(status);
}

static inline void do_close(void) {
    pp_push_close(&DEAD_ACTOR->out);
    outcome(PP_OK);
}

/* An element from taken to answered. */
static inline void do_work(void) {
    int status = pp_pop_lease(&DEAD_ACTOR->in, LEASE);
    if (status == PP_OK) {
        status = put(DEAD_ACTOR, &DEAD_ACTOR->out, LEASE->element.head.index0, act_spills, LEASE);
        if (status == PP_OK) {
            do_decide();
            answer(DEAD_ACTOR, LEASE);
        }
    }
    outcome(status);
}

static inline void do_add(void) { outcome(put(DEAD_ACTOR, &DEAD_ACTOR->out, OF_DEAD + 1, act_spills, NULL)); }

static inline void do_push_pack(void) {
    pp_pack pack;
    pp_head head = inline_head(OF_DEAD);
    pp_pack_begin(&pack, &head);
    for (uint64_t element = OF_DEAD; element < OF_DEAD + 2; element++) {
        uint64_t payload = ~element;
        CHECK(pp_pack_add(&pack, &payload, INLINE_BYTES));
    }
    outcome(pp_push_pack(&DEAD_ACTOR->out, &pack));
}

static inline void work_once(void) {
    do_work();
    CHECK_EQUAL(pp_load_acq(&WORLD->outcome), PP_OK);
}

static const operation operations[] = {
    {"push", do_nothing, do_push, .puts = 1, .may_leak = true},
    {"emit: push with the lease", take_into_lease, do_emit, .may_leak = true},
    {"cancel", do_nothing, do_cancel, .puts = 0},
    {"close", do_nothing, do_close, .puts = 0},
    {"pop", do_nothing, do_pop, .on_in = true, .may_vanish = 1, .may_leak = true},
    {"take: pop into the lease", do_nothing, do_pop_lease, .on_in = true},
    {"decide and count", take_and_emit, do_decide, .on_in = true},
    {"answer", take_emit_and_decide, do_answer, .on_in = true, .may_leak = true},
    {"work: take, emit, decide, answer", do_nothing, do_work, .on_in = true, .may_leak = true},
    {"add to the slot of the one before", do_push, do_add, .puts = 1, .has_put = 1, .shares = true},
    {"push two at once", do_nothing, do_push_pack, .puts = 2, .shares = true},
    {"work on the next of a slot", work_once, do_work, .on_in = true, .needs = 2, .shares = true},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* The names of states that spill are made from the others'. */
static const queue_state states[] = {
    {"empty", 3, .filled = 0},
    {"one element", 3, .filled = 1},
    {"full", 3, .filled = 3},
    {"one slot, empty", 1, .filled = 0},
    {"one slot, full", 1, .filled = 1},
    {"wrapping, empty", 3, .laps = 5},
    {"wrapping, one element", 3, .laps = 8, .filled = 1},
    {"wrapping, full", 3, .laps = 7, .filled = 3},
    {"behind a hole", 3, .laps = 5, .filled = 1, .hole = true},
    {"full, behind a hole", 3, .laps = 5, .filled = 2, .hole = true},
    {"hints left behind", 3, .laps = 5, .filled = 1, .stale_hints = true},
    {"three in a slot", 3, .laps = 5, .filled = 3, .several = true},
    {"three in the only slot", 1, .laps = 2, .filled = 3, .several = true},
    {"three in a slot, one of them taken", 3, .laps = 5, .filled = 3, .several = true, .begun = 1},
    {"three in a slot, of a sole consumer", 3, .laps = 5, .filled = 3, .several = true, .sole = true},
};
enum { STATES = sizeof states / sizeof *states };

/* One row: an operation in a queue. */
typedef struct {
    const operation *op;
    queue_state in, out;
    char name[64];
} row;

/* False when the operation needs an element and there is none. */
static inline bool make_row(row *r, const operation *op, const queue_state *state, bool spilling) {
    static const queue_state beside = {"beside", 2, .laps = 3, .filled = 0};
    static const queue_state source = {"source", 2, .laps = 3, .filled = 2};
    r->op = op;
    r->in = op->on_in ? *state : source;
    r->out = op->on_in ? beside : *state;
    r->out.several = r->in.several = state->several;
    r->in.sole = op->on_in && state->sole;
    r->in.spilling = r->out.spilling = spilling;
    snprintf(r->name, sizeof r->name, "%s%s", state->name, spilling ? ", spilling" : "");
    /* What was done before cannot have been done. */
    if (op->on_in && op->before != do_nothing && r->in.filled == 0) return false;
    if (op->shares && (!state->several || spilling)) return false;
    if (op->on_in && r->in.filled - r->in.begun < op->needs) return false;
    if (op->has_put && state->filled >= state->capacity && state->capacity == 1) return false;
    /* Elements that share a slot are inline; and a sole consumer that may die has a lease. */
    if (state->several && spilling) return false;
    if (state->sole && (!op->on_in || op->act == do_pop)) return false;
    return true;
}

/* The world of a row, before its operation. */
static inline void make_row_world(const row *r, expectation *expected) {
    act_spills = r->out.spilling;
    make_world(&r->in, &r->out);
    memset(expected, 0, sizeof *expected);
    expect(expected, 0, r->in.filled, 1);
    expect(expected, 10, r->out.filled, 1);
    expect(expected, OF_DEAD, r->op->has_put, 1);
    expect(expected, OF_DEAD + r->op->has_put, r->op->puts, 0);
    expected->may_vanish = r->op->may_vanish;
    r->op->before();
}

/* Repaired and accounted for; what was found is added to the row's tally. */
static inline void account_for_row(const row *r, const expectation *expected, tally *sum) {
    tally one = {.points = 1};
    account(expected, r->in.spilling, &one);
    if (one.leaked > (r->op->may_leak && r->in.spilling ? 1 : 0))
        complain("leaked: %llu blocks by %s, %s", (unsigned long long)one.leaked, r->op->name, r->name);
    if (one.stuck || one.lost || one.doubled)
        complain("    by %s, %s, point %llu", r->op->name, r->name, (unsigned long long)sum->points);
    tally_add(sum, &one);
}

#endif
