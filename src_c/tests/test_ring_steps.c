/* test_ring_steps.c - a death at every instruction of a worker that takes, emits and answers: after
 * settle and mend every element is in exactly one place, and both rings work on. */
#include <unistd.h>

#include "check.h"
#include "layout.h"
#include "ring.h"
#include "ring_elements.h"
#include "segment.h"
#include "steps.h"

enum { PARENT = 1, CHILD = 2, MOST = 8 };

/* What the dead and the living share: two rings and the lease of the worker between them. */
typedef struct {
    pp_lease lease;
    unsigned char in[4096];
    unsigned char out[4096];
} world;

static pp_segment memory, copy;
static uint32_t in_capacity, out_capacity;

static pp_port port_of(unsigned char *ring, uint32_t owner) {
    pp_port port;
    CHECK_EQUAL(pp_port_open(&port, (pp_ring *)ring, 4096, owner, 0), PP_OK);
    return port;
}

/* The worker's loop, until its source is empty or its outlet is full. */
static void work(void) {
    world *w = (world *)memory.base;
    pp_port in = port_of(w->in, CHILD), out = port_of(w->out, CHILD);
    while (pp_pop_lease(&in, &w->lease) == PP_OK) {
        uint64_t element = w->lease.element.head.index0;
        if (w->lease.element.body.block.nbytes != ~element) _exit(3);
        if (push(&out, element, &w->lease) != PP_OK) return;
        pp_store_rel(&w->lease.in, 0);
    }
}

/* A producer that is refused by its own data now and then. */
static void cancel(void) {
    world *w = (world *)memory.base;
    pp_port out = port_of(w->out, CHILD);
    pp_slot *slot;
    if (pp_push_claim(&out, &slot) == PP_OK) pp_push_cancel(&out, slot);
    if (pp_push_claim(&out, &slot) == PP_OK) pp_push_cancel(&out, slot);
}

static void bury(void) {
    world *w = (world *)copy.base;
    pp_ring_settle((pp_ring *)w->out, &w->lease, CHILD);
    pp_ring_mend((pp_ring *)w->in, &w->lease, CHILD);
    pp_ring_mend((pp_ring *)w->out, &w->lease, CHILD);
    CHECK_EQUAL(pp_ring_mend((pp_ring *)w->in, &w->lease, CHILD), 0);
    CHECK_EQUAL(pp_ring_mend((pp_ring *)w->out, &w->lease, CHILD), 0);

    unsigned seen[MOST] = {0};
    pp_port in = port_of(w->in, PARENT), out = port_of(w->out, PARENT);
    uint64_t element, last = 0, emitted = pp_load_acq(&w->lease.out) >> PP_OUT_SHIFT;
    CHECK_EQUAL(pp_load_acq(&w->lease.out) & PP_OUT_MASK, 0);
    CHECK(emitted <= 1);
    for (int i = 0; pop(&out, &element) == PP_OK; i++) {
        CHECK(element < MOST && (i == 0 || element > last));
        seen[last = element]++;
    }
    if (pp_load_acq(&w->lease.in) != 0) {
        element = w->lease.element.head.index0;
        CHECK(element < MOST);
        CHECK_EQUAL(w->lease.element.body.block.nbytes, ~element);
        CHECK_EQUAL(seen[element], emitted); /* what the replacement believes is what is so */
        if (emitted == 0) seen[element]++;
    }
    while (pop(&in, &element) == PP_OK) {
        CHECK(element < MOST);
        seen[element]++;
    }
    for (uint64_t i = 0; i < in_capacity; i++) CHECK_EQUAL(seen[i], 1);

    for (int lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < in_capacity; i++) CHECK_EQUAL(push(&in, i, NULL), PP_OK);
        CHECK_EQUAL(push(&in, 0, NULL), PP_FULL);
        for (uint32_t i = 0; i < out_capacity; i++) CHECK_EQUAL(push(&out, i, NULL), PP_OK);
        CHECK_EQUAL(push(&out, 0, NULL), PP_FULL);
        for (uint32_t i = 0; i < in_capacity; i++) CHECK_EQUAL(pop(&in, &element), PP_OK);
        for (uint32_t i = 0; i < out_capacity; i++) CHECK_EQUAL(pop(&out, &element), PP_OK);
        CHECK_EQUAL(pop(&in, &element), PP_EMPTY);
        CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    }
    pp_push_close(&in);
    CHECK_EQUAL(pop(&in, &element), PP_CLOSED);
}

static void step_through(const char *name, uint32_t of_in, uint32_t of_out, int laps,
                         void (*scenario)(void)) {
    in_capacity = of_in;
    out_capacity = of_out;
    CHECK_EQUAL(pp_segment_create(&memory, sizeof(world)), PP_OK);
    CHECK_EQUAL(pp_segment_create(&copy, sizeof(world)), PP_OK);
    world *w = (world *)memory.base;
    CHECK(pp_ring_bytes(of_in, 1) <= sizeof w->in && pp_ring_bytes(of_out, 1) <= sizeof w->out);
    pp_ring_create((pp_ring *)w->in, of_in, 1, true);
    pp_ring_create((pp_ring *)w->out, of_out, 1, true);
    pp_port in = port_of(w->in, PARENT), out = port_of(w->out, PARENT);
    uint64_t element;
    for (int i = 0; i < laps; i++) { /* so that positions are not those of a fresh ring */
        CHECK(push(&in, 0, NULL) == PP_OK && pop(&in, &element) == PP_OK);
        CHECK(push(&out, 0, NULL) == PP_OK && pop(&out, &element) == PP_OK);
    }
    for (uint32_t i = 0; i < of_in; i++) CHECK_EQUAL(push(&in, i, NULL), PP_OK);
    steps_through(name, scenario, memory.base, sizeof(world), copy.base, bury);
    pp_segment_close(&memory);
    pp_segment_close(&copy);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    step_through("one slot each", 1, 1, 0, work);
    step_through("one slot each, later laps", 1, 1, 5, work);
    step_through("three slots into two: the outlet fills", 3, 2, 0, work);
    step_through("three slots into two, later laps", 3, 2, 7, work);
    step_through("two slots into five", 2, 5, 4, work);
    step_through("a cancelled claim", 1, 1, 0, cancel);
    step_through("cancelled claims, later laps", 1, 3, 4, cancel);
    return 0;
}
