/* rivals.h - what another process does to the same ring between two instructions of the one that is watched. */
#ifndef PP_TESTS_RIVALS_H
#define PP_TESTS_RIVALS_H

#include "operations.h"

/* What another process does between two instructions, and when all is over. */
typedef struct {
    const char *name;
    void (*move)(pp_port *port, expectation *expected);
    void (*finish)(pp_port *port, expectation *expected);
} rival;

static pp_slot *held;
static uint64_t next_element;

static inline void rival_begins(void) {
    held = NULL;
    next_element = OF_RIVAL;
}

/* At the ring that the operation is tried on. */
static inline pp_port *rival_port(const operation *op) {
    return op->on_in ? &actors[RIVAL].in : &actors[RIVAL].out;
}

static inline void rival_takes(pp_port *port, expectation *expected) {
    (void)expected;
    uint64_t element;
    if (take(&actors[RIVAL], port, &element) != PP_OK) return;
    CHECK(element < MOST_ELEMENTS);
    taken_aside[element]++;
}

static inline void rival_puts(pp_port *port, expectation *expected) {
    if (put(&actors[RIVAL], port, next_element, act_spills, NULL) == PP_OK)
        expect(expected, next_element++, 1, 1);
}

/* So that the words and hints are those of a later lap when the other one goes on. */
static inline void rival_turns_the_ring(pp_port *port, expectation *expected) {
    for (uint32_t i = 0; i <= port->capacity; i++) {
        rival_takes(port, expected);
        rival_puts(port, expected);
    }
}

static inline void rival_begins_to_put(pp_port *port, expectation *expected) {
    (void)expected;
    if (pp_push_claim(port, &held) != PP_OK) held = NULL;
}

static inline void rival_has_put(pp_port *port, expectation *expected) {
    if (held == NULL) return;
    fill_inline(held, next_element);
    pp_push_publish(port, held, NULL, 0);
    expect(expected, next_element++, 1, 1);
}

static inline void rival_begins_to_take(pp_port *port, expectation *expected) {
    (void)expected;
    if (pp_pop_claim(port, &held) != PP_OK) held = NULL;
}

static inline void rival_has_taken(pp_port *port, expectation *expected) {
    (void)expected;
    if (held == NULL) return;
    uint64_t element = read_slot(&actors[RIVAL], held, port->part);
    CHECK(element < MOST_ELEMENTS);
    taken_aside[element]++;
    bool spilled = held->head.kind == PP_BLOCK;
    pp_descriptor block = held->body.block;
    pp_pop_free(port, held);
    if (spilled) CHECK_EQUAL(pp_arena_release(&actors[RIVAL].arena, block), PP_OK);
}

static inline void rival_has_finished(pp_port *port, expectation *expected) {
    (void)port;
    (void)expected;
}

static const rival rivals[] = {
    {"a rival takes", rival_takes, rival_has_finished},
    {"a rival puts", rival_puts, rival_has_finished},
    {"a rival turns the ring", rival_turns_the_ring, rival_has_finished},
    {"a rival is putting", rival_begins_to_put, rival_has_put},
    {"a rival is taking", rival_begins_to_take, rival_has_taken},
};
enum { RIVALS = sizeof rivals / sizeof *rivals };

#endif
