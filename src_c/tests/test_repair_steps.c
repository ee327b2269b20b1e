/* test_repair_steps.c - repair, one instruction at a time: for each different memory that the death of a worker
 * can leave, the repairer is killed as well, and a second one finishes; and others, who are alive and know of
 * no death, use the rings between any two steps of the repair. */
#include "operations.h"
#include "rivals.h"
#include "steps.h"

static path of_worker, of_repairer;

/* The memory that the worker leaves when it dies there. */
static void leave_death(const row *r, uint64_t at, memory_image *image, expectation *expected) {
    make_row_world(r, expected);
    walker w = walker_start(r->op->act);
    walker_go(&w, &of_worker, at);
    walker_kill(&w);
    save_memory(image);
}

/* Walks to the end of the repair, killing nobody; a rival moves before instruction `when` of it. */
static void repair_contended(const rival *other, const row *r, uint64_t when, expectation *expected) {
    rival_begins();
    walker w = walker_start(repair);
    walker_go(&w, &of_repairer, when);
    other->move(rival_port(r->op), expected);
    walker_end(&w);
    other->finish(rival_port(r->op), expected);
}

static void kill_repairers(const row *r, uint64_t every) {
    tally killed = {0}, contended = {0};
    expectation expected, with_rival;
    memory_image image;
    make_row_world(r, &expected);
    walker first = walker_start(r->op->act);
    path_record(&of_worker, &first, memory_has_changed);
    for (uint64_t at = 0; at < of_worker.count; at++) {
        if (!of_worker.changed[at]) continue;
        leave_death(r, at, &image, &expected);
        first = walker_start(repair);
        path_record(&of_repairer, &first, memory_has_changed);
        for (uint64_t then = 0; then < of_repairer.count; then++) {
            if (then % every != 0 && !of_repairer.changed[then]) continue;
            restore_memory(&image);
            memset(taken_aside, 0, sizeof taken_aside);
            walker w = walker_start(repair);
            walker_go(&w, &of_repairer, then);
            walker_kill(&w);
            repair();
            account_for_row(r, &expected, &killed);
            /* A sole consumer has no rivals. */
            for (unsigned i = 0; i < RIVALS && !r->in.sole; i++) {
                restore_memory(&image);
                memset(taken_aside, 0, sizeof taken_aside);
                with_rival = expected;
                repair_contended(&rivals[i], r, then, &with_rival);
                account_for_row(r, &with_rival, &contended);
            }
        }
    }
    report(r->op->name, r->name, &killed);
    report("    with rivals at work", r->name, &contended);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    static const queue_state wrapping = {"wrapping, one element", 3, .laps = 8, .filled = 1};
    static const queue_state one_slot = {"one slot, full", 1, .filled = 1};
    static const queue_state empty = {"wrapping, empty", 3, .laps = 5};
    static const queue_state shared = {"three in a slot", 3, .laps = 5, .filled = 3, .several = true};
    static const queue_state sole = {
        "three, of a sole consumer", 3, .laps = 5, .filled = 3, .several = true, .sole = true};
    uint64_t every = steps_every(MOST_STEPS);
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        const queue_state *of[] = {&wrapping, operations[op].on_in ? &one_slot : &empty, &shared, &sole};
        for (unsigned state = 0; state < sizeof of / sizeof *of; state++) {
            if (!steps_part(op + state)) continue;
            for (unsigned spilling = 0; spilling < 2; spilling++) {
                row r;
                if (make_row(&r, &operations[op], of[state], spilling)) kill_repairers(&r, every);
            }
        }
    }
    return report_total();
}
