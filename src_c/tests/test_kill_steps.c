/* test_kill_steps.c - SIGKILL at every single instruction of what a worker does with its queues, in queues
 * that are empty, full, wrapping, left with holes and with old hints, inline and spilling to blocks. */
#include "operations.h"
#include "steps.h"

static void kill_everywhere(const row *r, uint64_t every) {
    static path undisturbed;
    tally sum = {0};
    expectation expected;
    make_row_world(r, &expected);
    walker first = walker_start(r->op->act);
    path_record(&undisturbed, &first, memory_has_changed);
    for (uint64_t at = 0; at < undisturbed.count; at++) {
        if (at % every != 0 && !undisturbed.changed[at]) continue;
        make_row_world(r, &expected);
        walker w = walker_start(r->op->act);
        walker_go(&w, &undisturbed, at);
        walker_kill(&w);
        repair();
        account_for_row(r, &expected, &sum);
    }
    report(r->op->name, r->name, &sum);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    print_heading();
    for (unsigned op = 0; op < OPERATIONS; op++) {
        for (unsigned state = 0; state < 2 * STATES; state++) {
            row r;
            if (make_row(&r, &operations[op], &states[state % STATES], state >= STATES))
                kill_everywhere(&r, steps_every(1));
        }
    }
    return report_total();
}
