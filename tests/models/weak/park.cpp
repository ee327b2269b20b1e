/* park.cpp - the real park protocol under the C11 memory model: no wake is lost.
 *
 * Wakers raise one flag each and notify.  Every waiter needs one flag and sleeps without a time limit, so a wake
 * that is lost is a deadlock.
 */
#include "core.h"

enum { THREADS = 4 };

/* What the threads do: 'w' waits for a flag, 'l' the same as an event loop with a bell, 'n' raises a flag and
 * notifies, 'd' the same but may die at any step, upon which everybody is woken, 'q' registers and leaves, 'a' raises
 * all flags and wakes everybody. */
static const char *roles;

struct park : rl::test_suite<park, THREADS> {
    pp_spot spot;
    pp_a32 flags[THREADS];
    pp_a32 bell;

    void before() {
        weak::nobody_dies();
        pp_spot_create(&spot, true);
        for (pp_a32 &flag : flags) pp_store_rlx(&flag, 0);
        pp_store_rlx(&bell, 0);
        weak::bell_word = &bell;
    }

    bool raised() {
        for (pp_a32 &flag : flags)
            if (pp_load_seq(&flag) == 1) return true;
        return false;
    }

    bool take() {
        for (pp_a32 &flag : flags) {
            uint32_t seen = pp_load_acq(&flag);
            if (seen == 1 && pp_cas32(&flag, &seen, 2)) return true;
        }
        return false;
    }

    void wait() {
        while (!take()) {
            uint32_t key = pp_spot_register(&spot);
            if (!raised()) pp_spot_sleep(&spot, key, weak::FOREVER_NS);
        }
    }

    void wait_as_event_loop() {
        while (!take()) {
            pp_spot_arm(&spot);
            if (!raised()) weak::wait_for_bell();
        }
    }

    void raise(unsigned index) {
        pp_store_seq(&flags[index], 1);
        pp_spot_notify(&spot, 0);
    }

    void raise_and_die(unsigned index) {
        weak::live_for_at_most(8);
        try {
            raise(index);
        } catch (weak::death) {
        }
        weak::live_on();
        if (pp_load_acq(&flags[index]) == 0) pp_store_seq(&flags[index], 1); /* what a replacement does */
        pp_spot_wake_all(&spot, 0);
    }

    void raise_all() {
        for (unsigned i = 0; i < THREADS; i++)
            if (roles[i] == 'w') pp_store_seq(&flags[i], 1);
        pp_spot_wake_all(&spot, 0);
    }

    void thread(unsigned index) {
        switch (roles[index]) {
            case 'w': wait(); break;
            case 'l': wait_as_event_loop(); break;
            case 'n': raise(index); break;
            case 'd': raise_and_die(index); break;
            case 'q': (void)pp_spot_register(&spot); break;
            case 'a': raise_all(); break;
        }
    }
};

/* ---- the window of an ordered stage: one writer, sources that wait for it ---- */

enum { POSITIONS = 4 };

struct window : rl::test_suite<window, 3> {
    pp_window shared;

    void before() {
        weak::nobody_dies();
        pp_spot_create(&shared.spot, true);
        pp_store_rlx(&shared.floor, 0);
        pp_store_rlx(&shared.pressed, 1);
        pp_store_rlx(&shared.aborted, 0);
        shared.span = 2;
    }

    void thread(unsigned index) {
        if (index == 0) {
            /* Pressed until the end, so that the last step admits by `pressed` alone. */
            for (uint64_t floor = 1; floor < POSITIONS - 1; floor++)
                pp_window_advance(&shared, floor, true, -1);
            pp_window_advance(&shared, POSITIONS - 2, false, -1);
            return;
        }
        for (uint64_t position = index - 1; position < POSITIONS; position += 2)
            while (pp_window_wait(&shared, position, weak::FOREVER_NS) == PP_OK)
                if (pp_window_admits(&shared, position)) break;
    }
};

static int check(const char *name, const char *who, unsigned long schedules) {
    roles = who;
    return weak::check<park>(name, schedules);
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    return check("one waiter, one waker", "wn--", schedules) ||
           check("two waiters, two wakers", "wwnn", schedules) ||
           check("one waiter, a waiter that leaves, two wakers", "wqnn", schedules) ||
           check("an event loop, one waker", "ln--", schedules) ||
           check("an event loop, a waiter, two wakers", "lwnn", schedules) ||
           check("two waiters, wakers that die", "wwdd", schedules) ||
           check("an event loop, a waiter, wakers that die", "lwdd", schedules) ||
           check("three waiters, all woken", "wwwa", schedules) || weak::check<window>("a window", schedules);
}
