/* checked.h - what every check under Relacy shares: memory that is handed over, and running a suite.
 *
 * The checks include copies of the core's own C files, compiled as C++.  build.py makes the copies; they differ
 * from src_c/ in what C++ and Relacy need: the type of an atomic word, the content of a slot (wrapped, so that
 * a race on it is found), the assertions on sizes, and sizes and counts of spins that no check can afford.
 */
#ifndef PP_WEAK_CHECKED_H
#define PP_WEAK_CHECKED_H

#include <new>

#include "mortal.h"
#include "stdatomic.h"

/* Relacy has an errno of its own that cannot be assigned to. */
#undef errno
#define errno (*__errno_location())

/* Plain memory that is handed from thread to thread.  Relacy reports two accesses without order. */
template <typename T>
struct handed {
    T value;
    rl::var<unsigned> guard;

    handed() : value(), guard(0) {}
    handed &operator=(const handed &other) {
        set(other.get());
        return *this;
    }
    T get() const {
        (void)(unsigned)guard($);
        return value;
    }
    void set(const T &v) {
        guard($) = 1u;
        value = v;
    }
};

namespace weak {

/* PROGRAM [SCHEDULES [SITE ORDER]...]: the number of schedules of each suite, and orders that are weakened. */
static unsigned long arguments(int argc, char **argv) {
    static const char *const names[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};
    for (int i = 2; i + 1 < argc; i += 2) {
        int order = 0;
        while (strcmp(names[order], argv[i + 1]) != 0) order++;
        orders[atoi(argv[i])] = (rl::memory_order)order;
    }
    return argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
}

/* Run a suite for so many random schedules; the exit code of the program.  One scheduler is instantiated,
 * not Relacy's three: a third of the time to compile. */
template <typename SUITE>
int check(const char *name, unsigned long schedules) {
    rl::test_params params;
    params.iteration_count = schedules;
    params.execution_depth_limit = 20000;
    rl::ostringstream out;
    params.output_stream = params.progress_stream = &out;
    params.output_history = false;
    rl::ostringstream state;
    params.collect_history = false;
    rl::test_result_e result =
        rl::run_test<SUITE, rl::random_scheduler<SUITE::params::thread_count>>(params, state, false);
    printf("%s %s: ", result == rl::test_result_success ? "passed" : "FAILED", name);
    if (result == rl::test_result_success) {
        printf("%lu schedules\n", schedules);
        return 0;
    }
    printf("%s, schedule %lu of %lu\n", rl::test_result_str(result), (unsigned long)params.stop_iteration,
           schedules);
    if (getenv("PYPELN_WEAK_HISTORY") != NULL) {
        params.initial_state = state.str();
        params.collect_history = true;
        params.output_stream = params.progress_stream = &std::cout;
        rl::run_test<SUITE, rl::random_scheduler<SUITE::params::thread_count>>(params, state, true);
    }
    return 1;
}

}  // namespace weak

#endif
