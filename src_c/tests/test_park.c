/* test_park.c - the park protocol: no wake is lost, and every way out of a sleep is told apart. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "bell.h"
#include "check.h"
#include "clock.h"
#include "park.h"
#include "processes.h"
#include "segment.h"

/* Long enough that a lost wake is the test's time-out and not a slow success. */
static const uint64_t FOREVER_NS = 3600 * (uint64_t)1000000000;

static void a_sleep_ends_with_its_time(void) {
    pp_spot spot = {0};
    uint64_t start = pp_now_ns();
    CHECK_EQUAL(pp_spot_sleep(&spot, pp_spot_register(&spot), 2000000), PP_TIMEOUT);
    CHECK(pp_now_ns() - start >= 2000000);
}

static void a_wake_between_registering_and_sleeping_is_not_lost(void) {
    pp_spot spot = {0};
    uint32_t key = pp_spot_register(&spot);
    pp_spot_notify(&spot, -1);
    CHECK_EQUAL(pp_spot_sleep(&spot, key, FOREVER_NS), PP_OK);
    key = pp_spot_register(&spot);
    pp_spot_wake_all(&spot, -1);
    CHECK_EQUAL(pp_spot_sleep(&spot, key, FOREVER_NS), PP_OK);
}

static void a_notification_nobody_waits_for_leaves_nothing(void) {
    pp_spot spot = {0};
    pp_spot_notify(&spot, -1);
    CHECK_EQUAL(pp_load_acq(&spot.epoch), 0);
    CHECK_EQUAL(pp_spot_sleep(&spot, pp_spot_register(&spot), 1000), PP_TIMEOUT);
}

/* ---- two sides that take turns: each lost wake would hang the test ---- */

typedef struct {
    pp_spot spots[2];
    pp_a64 turns;
} table;

enum { TURNS = 4000 };

static void take_turns(table *shared, uint64_t side) {
    for (;;) {
        uint64_t turn = pp_load_seq(&shared->turns);
        if (turn >= TURNS) return;
        if (turn % 2 == side) {
            pp_store_seq(&shared->turns, turn + 1);
            pp_spot_notify(&shared->spots[1 - side], -1);
            continue;
        }
        uint32_t key = pp_spot_register(&shared->spots[side]);
        if (pp_load_seq(&shared->turns) % 2 == side || pp_load_seq(&shared->turns) >= TURNS) continue;
        int status = pp_spot_sleep(&shared->spots[side], key, FOREVER_NS);
        CHECK_EQUAL(status, PP_OK);
    }
}

static void *take_odd_turns(void *shared) {
    take_turns(shared, 1);
    return NULL;
}

static void threads_take_turns_and_no_wake_is_lost(void) {
    static table shared;
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, take_odd_turns, &shared), 0);
    take_turns(&shared, 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

/* ---- processes ---- */

enum { SLEEPING_PROCESSES = 3 };

/* What the other processes of this test share. */
typedef struct {
    table turns;
    pp_spot spot;
    pp_a32 asleep, open_door, woken;
} common;

static pp_segment memory;

static common *in_common(void) { return (common *)memory.base; }

static void share_memory(void) {
    CHECK_EQUAL(pp_segment_create(&memory, sizeof(common)), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&memory, 0, sizeof(common)), PP_OK);
    pp_spot_create(&in_common()->turns.spots[0], true);
    pp_spot_create(&in_common()->turns.spots[1], true);
    pp_spot_create(&in_common()->spot, true);
}

/* The roles of other processes. */
enum { TAKE_TURNS, SLEEP_UNTIL_OPEN };

static void act(uint32_t role) {
    common *shared = in_common();
    if (role == TAKE_TURNS) take_turns(&shared->turns, 1);
    if (role == SLEEP_UNTIL_OPEN) {
        for (;;) {
            uint32_t key = pp_spot_register(&shared->spot);
            if (pp_load_seq(&shared->open_door)) break;
            pp_add_seq(&shared->asleep, 1);
            CHECK_EQUAL(pp_spot_sleep(&shared->spot, key, FOREVER_NS), PP_OK);
        }
        pp_add_seq(&shared->woken, 1);
    }
}

static void processes_take_turns_and_no_wake_is_lost(void) {
    share_memory();
    process other = process_start(TAKE_TURNS);
    take_turns(&in_common()->turns, 0);
    process_join(other);
    pp_segment_close(&memory);
}

static void sleepers_in_other_processes_are_all_woken_when_some_have_died(void) {
    share_memory();
    common *shared = in_common();
    process others[SLEEPING_PROCESSES], victims[SLEEPING_PROCESSES];
    for (int i = 0; i < SLEEPING_PROCESSES; i++) others[i] = process_start(SLEEP_UNTIL_OPEN);
    for (int i = 0; i < SLEEPING_PROCESSES; i++) victims[i] = process_start(SLEEP_UNTIL_OPEN);
    while (pp_load_seq(&shared->asleep) < 2 * SLEEPING_PROCESSES) pp_nap(1000000);
    for (int i = 0; i < SLEEPING_PROCESSES; i++) process_kill(victims[i]);
    /* As a waker that died behind its first step would leave it: the tokens are gone, nobody was woken. */
    pp_store_seq(&shared->spot.waiters, 0);
    pp_store_seq(&shared->open_door, 1);
    pp_spot_wake_all(&shared->spot, -1);
    for (int i = 0; i < SLEEPING_PROCESSES; i++) process_join(others[i]);
    CHECK_EQUAL(pp_load_seq(&shared->woken), SLEEPING_PROCESSES);
    pp_segment_close(&memory);
}

static void a_shared_spot_ends_a_sleep_with_its_time_too(void) {
    share_memory();
    pp_spot *spot = &in_common()->spot;
    uint64_t start = pp_now_ns();
    CHECK_EQUAL(pp_spot_sleep(spot, pp_spot_register(spot), 2000000), PP_TIMEOUT);
    CHECK(pp_now_ns() - start >= 2000000);
    uint32_t key = pp_spot_register(spot);
    pp_spot_notify(spot, -1);
    CHECK_EQUAL(pp_spot_sleep(spot, key, FOREVER_NS), PP_OK);
    pp_segment_close(&memory);
}

/* ---- many sleepers ---- */

enum { SLEEPERS = 4 };
static pp_spot crowd;
static pp_a32 asleep, open_door;

static void *sleep_until_open(void *unused) {
    (void)unused;
    for (;;) {
        uint32_t key = pp_spot_register(&crowd);
        if (pp_load_seq(&open_door)) return NULL;
        pp_add_seq(&asleep, 1);
        CHECK_EQUAL(pp_spot_sleep(&crowd, key, FOREVER_NS), PP_OK);
    }
}

static void everybody_is_woken_at_the_end(void) {
    pthread_t threads[SLEEPERS];
    for (int i = 0; i < SLEEPERS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, sleep_until_open, NULL), 0);
    while (pp_load_seq(&asleep) < SLEEPERS) pp_nap(100000);
    pp_store_seq(&open_door, 1);
    pp_spot_wake_all(&crowd, -1);
    for (int i = 0; i < SLEEPERS; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

/* ---- signals and bells ---- */

#if !defined(_WIN32) /* where no signal ends a system call */
#include <signal.h>

static pp_a32 sleeper_is_in;

static void ignore(int number) { (void)number; }

static void *sleep_once(void *spot) {
    uint32_t key = pp_spot_register(spot);
    pp_store_seq(&sleeper_is_in, 1);
    int status = pp_spot_sleep(spot, key, FOREVER_NS);
    pp_store_seq(&sleeper_is_in, 0);
    return (void *)(uintptr_t)status;
}

static void a_signal_ends_a_sleep_and_says_so(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = ignore;
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0);
    pp_spot spot = {0};
    pthread_t thread;
    void *status;
    CHECK_EQUAL(pthread_create(&thread, NULL, sleep_once, &spot), 0);
    while (!pp_load_seq(&sleeper_is_in)) pp_nap(100000);
    /* Again and again: the first may come before it sleeps. */
    while (pp_load_seq(&sleeper_is_in)) {
        pthread_kill(thread, SIGUSR1);
        pp_nap(100000);
    }
    CHECK_EQUAL(pthread_join(thread, &status), 0);
    CHECK_EQUAL((uintptr_t)status, PP_SIGNAL);
}
#endif

static void an_armed_spot_rings_the_bell_once(void) {
    pp_spot spot = {0};
    test_bell bell = bell_make();
    pp_spot_arm(&spot);
    pp_spot_notify(&spot, bell.ring);
    CHECK(bell_heard(&bell));
    pp_spot_notify(&spot, bell.ring);
    CHECK(!bell_heard(&bell));
    /* A bell that nobody hears is full some day: that must not block, and errno stays. */
    errno = 0;
    for (int i = 0; i < 20000; i++) pp_bell_ring(bell.ring);
    CHECK_EQUAL(errno, 0);
    bell_close(&bell);
}

static void a_sleeper_and_a_bell_are_both_served(void) {
    pp_spot spot = {0};
    test_bell bell = bell_make();
    uint32_t key = pp_spot_register(&spot);
    pp_spot_arm(&spot);
    pp_spot_notify(&spot, bell.ring);
    CHECK_EQUAL(pp_spot_sleep(&spot, key, FOREVER_NS), PP_OK);
    CHECK(bell_heard(&bell));
    bell_close(&bell);
}

static void a_nap_lasts_as_long_as_it_is_meant_to(void) {
    uint64_t start = pp_now_ns();
    for (int i = 0; i < 20; i++) pp_nap(100000);
    CHECK(pp_now_ns() - start >= 20 * 100000);
}

int main(int argc, char **argv) {
    processes_begin(argc, argv, (process_plan){act, {&memory}});
    RUN(a_sleep_ends_with_its_time);
    RUN(a_shared_spot_ends_a_sleep_with_its_time_too);
    RUN(a_wake_between_registering_and_sleeping_is_not_lost);
    RUN(a_notification_nobody_waits_for_leaves_nothing);
    RUN(threads_take_turns_and_no_wake_is_lost);
    RUN(processes_take_turns_and_no_wake_is_lost);
    RUN(sleepers_in_other_processes_are_all_woken_when_some_have_died);
    RUN(everybody_is_woken_at_the_end);
#if !defined(_WIN32)
    RUN(a_signal_ends_a_sleep_and_says_so);
#endif
    RUN(an_armed_spot_rings_the_bell_once);
    RUN(a_sleeper_and_a_bell_are_both_served);
    RUN(a_nap_lasts_as_long_as_it_is_meant_to);
    return 0;
}
