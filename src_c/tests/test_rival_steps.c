/* test_rival_steps.c - death in the middle of contention: between any two instructions of the one that will
 * die another process moves, so that its compare-and-swaps fail or its looks are outdated, and then it dies
 * at one of the instructions that follow. */
#include "operations.h"
#include "steps.h"

/* What another process does between two instructions, and once the death has been mended. */
typedef struct {
    const char *name;
    void (*move)(pp_port *port, expectation *expected);
    void (*finish)(pp_port *port, expectation *expected);
} rival;

static pp_slot *held;
static uint64_t next_element;

static void rival_takes(pp_port *port, expectation *expected) {
    (void)expected;
    uint64_t element;
    if (take(&actors[RIVAL], port, &element) != PP_OK) return;
    CHECK(element < MOST_ELEMENTS);
    taken_aside[element]++;
}

static void rival_puts(pp_port *port, expectation *expected) {
    if (put(&actors[RIVAL], port, next_element, act_spills, NULL) == PP_OK)
        expect(expected, next_element++, 1, 1);
}

/* So that the words and hints are those of a later lap when the other one goes on. */
static void rival_turns_the_ring(pp_port *port, expectation *expected) {
    for (uint32_t i = 0; i <= port->capacity; i++) {
        rival_takes(port, expected);
        rival_puts(port, expected);
    }
}

static void rival_begins_to_put(pp_port *port, expectation *expected) {
    (void)expected;
    if (pp_push_claim(port, &held) != PP_OK) held = NULL;
}

static void rival_has_put(pp_port *port, expectation *expected) {
    if (held == NULL) return;
    fill_inline(held, next_element);
    pp_push_publish(port, held, NULL, 0);
    expect(expected, next_element++, 1, 1);
}

static void rival_begins_to_take(pp_port *port, expectation *expected) {
    (void)expected;
    if (pp_pop_claim(port, &held) != PP_OK) held = NULL;
}

static void rival_has_taken(pp_port *port, expectation *expected) {
    (void)expected;
    if (held == NULL) return;
    uint64_t element = read_slot(&actors[RIVAL], held);
    CHECK(element < MOST_ELEMENTS);
    taken_aside[element]++;
    bool spilled = held->head.kind == PP_BLOCK;
    pp_descriptor block = held->body.block;
    pp_pop_free(port, held);
    if (spilled) CHECK_EQUAL(pp_arena_release(&actors[RIVAL].arena, block), PP_OK);
}

static void rival_has_finished(pp_port *port, expectation *expected) {
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

static path before, after;

/* Stands where the rival has just moved. */
static walker start_contended(const row *r, const rival *other, uint64_t when, expectation *expected) {
    make_row_world(r, expected);
    next_element = OF_RIVAL;
    held = NULL;
    walker w = walker_start(r->op->act);
    walker_go(&w, &before, when);
    other->move(r->op->on_in ? &actors[RIVAL].in : &actors[RIVAL].out, expected);
    return w;
}

static void kill_contended(const row *r, const rival *other, uint64_t every, tally *sum) {
    expectation expected;
    make_row_world(r, &expected);
    walker first = walker_start(r->op->act);
    path_record(&before, &first, memory_has_changed);
    for (uint64_t when = 0; when < before.count; when++) {
        first = start_contended(r, other, when, &expected);
        path_record(&after, &first, memory_has_changed);
        for (uint64_t at = 0; at < after.count; at++) {
            if (at % every != 0 && !after.changed[at]) continue;
            walker w = start_contended(r, other, when, &expected);
            walker_go(&w, &after, at);
            walker_kill(&w);
            repair();
            other->finish(r->op->on_in ? &actors[RIVAL].in : &actors[RIVAL].out, &expected);
            account_for_row(r, &expected, sum);
        }
    }
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    static const queue_state contended[] = {
        {"wrapping, one element", 3, .laps = 8, .filled = 1},
        {"one slot, full", 1, .filled = 1},
        {"one slot, empty", 1, .laps = 3},
        {"wrapping, full", 3, .laps = 7, .filled = 3},
    };
    uint64_t every = steps_every(50);
    unsigned briefly = every > 1; /* minutes otherwise */
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        /* Its parts are rows of their own. */
        if (briefly && operations[op].act == do_work) continue;
        for (unsigned i = 0; i < RIVALS; i++) {
            tally sum = {0};
            for (unsigned state = 0; state < sizeof contended / sizeof *contended; state++) {
                /* Then: a ring with room at both ends, and one where every move is in the way. */
                if (briefly && state != 0 && state != (operations[op].on_in ? 1 : 2)) continue;
                for (unsigned spilling = 0; spilling < 2 - briefly; spilling++) {
                    row r;
                    if (make_row(&r, &operations[op], &contended[state], spilling))
                        kill_contended(&r, &rivals[i], every, &sum);
                }
            }
            report(operations[op].name, rivals[i].name, &sum);
        }
    }
    return report_total();
}
