/* test_rival_steps.c - death in the middle of contention: between any two instructions of the one that will
 * die another process moves, so that its compare-and-swaps fail or its looks are outdated, and then it dies
 * at one of the instructions that follow. */
#include "operations.h"
#include "rivals.h"
#include "steps.h"

static path before, after;

/* Stands where the rival has just moved. */
static walker start_contended(const row *r, const rival *other, uint64_t when, expectation *expected) {
    make_row_world(r, expected);
    rival_begins();
    walker w = walker_start(r->op->act);
    walker_go(&w, &before, when);
    other->move(rival_port(r->op), expected);
    return w;
}

static void kill_contended(const row *r, const rival *other, uint64_t every, tally *sum) {
    expectation expected;
    make_row_world(r, &expected);
    walker first = walker_start(r->op->act);
    path_record(&before, &first, memory_has_changed);
    for (uint64_t when = 0; when < before.count; when++) {
        /* The walk to the end from each of them is most of the work: briefly, from what was written, and others. */
        if (every > 1 && when % 3 != 0 && !before.changed[when]) continue;
        first = start_contended(r, other, when, &expected);
        path_record(&after, &first, memory_has_changed);
        for (uint64_t at = 0; at < after.count; at++) {
            if (at % every != 0 && !after.changed[at]) continue;
            walker w = start_contended(r, other, when, &expected);
            walker_go(&w, &after, at);
            walker_kill(&w);
            repair();
            other->finish(rival_port(r->op), &expected);
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
        {"three in a slot", 3, .laps = 5, .filled = 3, .several = true},
    };
    uint64_t every = steps_every(50);
    unsigned briefly = every > 1; /* minutes otherwise */
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        /* Its parts are rows of their own. */
        if (briefly && operations[op].act == do_work) continue;
        for (unsigned i = 0; i < RIVALS; i++) {
            if (!steps_part(op + i)) continue;
            tally sum = {0};
            for (unsigned state = 0; state < sizeof contended / sizeof *contended; state++) {
                /* Then: a ring with room at both ends, and one where every move is in the way. */
                if (briefly && state != 0 && state != (operations[op].on_in ? 1 : 2) &&
                    !contended[state].several)
                    continue;
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
