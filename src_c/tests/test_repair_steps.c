/* test_repair_steps.c - the repairer dies as well: for each different memory that the death of a worker can
 * leave, whoever mends it is killed at every instruction of that, and a second one finishes. */
#include "operations.h"
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

static void kill_repairers(const row *r, uint64_t every) {
    tally sum = {0};
    expectation expected;
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
            walker w = walker_start(repair);
            walker_go(&w, &of_repairer, then);
            walker_kill(&w);
            repair();
            account_for_row(r, &expected, &sum);
        }
    }
    report(r->op->name, r->name, &sum);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    static const queue_state wrapping = {"wrapping, one element", 3, .laps = 8, .filled = 1};
    static const queue_state one_slot = {"one slot, full", 1, .filled = 1};
    static const queue_state empty = {"wrapping, empty", 3, .laps = 5};
    uint64_t every = steps_every(MOST_STEPS);
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        const queue_state *of[] = {&wrapping, operations[op].on_in ? &one_slot : &empty};
        for (unsigned state = 0; state < 2; state++) {
            for (unsigned spilling = 0; spilling < 2; spilling++) {
                row r;
                if (make_row(&r, &operations[op], of[state], spilling)) kill_repairers(&r, every);
            }
        }
    }
    return report_total();
}
