/* test_stop_steps.c - SIGSTOP at every instruction, and SIGCONT after the others have gone on: a stopped
 * process is not dead, nothing it holds is taken from it, and everything it was doing still happens once. */
#include "operations.h"
#include "steps.h"

static uint64_t next_element;

static bool holds_a_slot(const pp_port *port) {
    for (uint32_t i = 0; i < port->capacity; i++) {
        uint64_t word = pp_load_acq(&port->slots[i].word);
        /* A READY slot names who took from it last. */
        if ((word & 7u) != PP_READY && (word >> PP_STATE_BITS & PP_OWNER_MAX) == DEAD) return true;
    }
    return false;
}

static void take_all_there_is(actor *who, pp_port *port) {
    uint64_t element;
    while (take(who, port, &element) == PP_OK) {
        CHECK(element < MOST_ELEMENTS);
        taken_aside[element]++;
    }
}

static bool put_another(actor *who, pp_port *port, expectation *expected) {
    if (put(who, port, next_element, act_spills, NULL) != PP_OK) return false;
    expect(expected, next_element, 1, 1);
    next_element += port->several ? 2 : 1; /* each in a slot of its own */
    return true;
}

/* Two laps while the other one stands still. A slot that it holds stops them when they come to it, as it must:
 * it will go on to write or read there. If it holds none, nothing does. */
static void others_go_on(pp_port *port, expectation *expected, tally *t) {
    actor *who = &actors[RIVAL];
    take_all_there_is(who, port);
    bool held = holds_a_slot(port);
    for (unsigned lap = 0; lap < 2; lap++) {
        uint32_t room = 0;
        while (put_another(who, port, expected)) room++;
        if (!held && room != port->capacity) stuck(t, "the others cannot go on");
        take_all_there_is(who, port);
        if (!held && pp_ring_count(port->ring) != 0) stuck(t, "the others cannot take what is there");
        if (held) return;
    }
}

static void stop_everywhere(const row *r, uint64_t every) {
    static path undisturbed;
    tally sum = {0};
    expectation expected;
    make_row_world(r, &expected);
    walker first = walker_start(r->op->act);
    path_record(&undisturbed, &first, memory_has_changed);
    for (uint64_t at = 0; at < undisturbed.count; at++) {
        if (at % every != 0 && !undisturbed.changed[at]) continue;
        make_row_world(r, &expected);
        next_element = OF_RIVAL;
        walker w = walker_start(r->op->act);
        walker_go(&w, &undisturbed, at);
        walker_stop(&w);
        others_go_on(r->op->on_in ? &actors[RIVAL].in : &actors[RIVAL].out, &expected, &sum);
        walker_continue(&w);
        /* It is not dead: what it says it has done is done. */
        uint32_t popped = pp_load_acq(&WORLD->popped);
        if (popped != 0) taken_aside[popped - 1]++;
        if (pp_load_acq(&WORLD->outcome) == PP_OK)
            expect(&expected, OF_DEAD + r->op->has_put, r->op->puts, 1);
        expected.may_vanish = 0;
        pp_lease_settle(LEASE); /* some rows begin in the middle of an element */
        account_for_row(r, &expected, &sum);
    }
    report(r->op->name, r->name, &sum);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    uint64_t every = steps_every(1);
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        for (unsigned state = 0; state < STATES + 2; state++) {
            row r;
            /* Blocks have no waiting of their own: two states stand for all. */
            bool spilling = state >= STATES;
            const queue_state *of = &states[spilling ? (state - STATES) * 6 : state];
            /* The others take as well. */
            if (of->sole) continue;
            if (make_row(&r, &operations[op], of, spilling)) stop_everywhere(&r, every);
        }
    }
    return report_total();
}
