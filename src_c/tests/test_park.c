/* test_park.c - the park protocol: no wake is lost, and every way out of a sleep is told apart. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "park.h"
#include "segment.h"

/* Long enough that a lost wake is the test's time-out and not a slow success. */
static const uint64_t FOREVER_NS = 3600u * 1000000000u;

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

static void processes_take_turns_and_no_wake_is_lost(void) {
    pp_segment segment;
    CHECK_EQUAL(pp_segment_create(&segment, sizeof(table)), PP_OK);
    table *shared = (table *)segment.base;
    shared->spots[0].shared = shared->spots[1].shared = 1;
    pid_t child = fork();
    if (child == 0) {
        take_turns(shared, 1);
        _exit(0);
    }
    take_turns(shared, 0);
    int status;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    pp_segment_close(&segment);
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

static void an_armed_spot_rings_the_bell_once(void) {
    pp_spot spot = {0};
    int ends[2];
    char bytes[64];
    CHECK_EQUAL(pipe(ends), 0);
    CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    pp_spot_arm(&spot);
    pp_spot_notify(&spot, ends[1]);
    CHECK_EQUAL(read(ends[0], bytes, sizeof bytes), 8);
    pp_spot_notify(&spot, ends[1]);
    CHECK(read(ends[0], bytes, sizeof bytes) == -1 && errno == EAGAIN);
    /* A bell that nobody hears is full some day: that must not block, and errno stays. */
    errno = 0;
    for (int i = 0; i < 20000; i++) pp_bell_ring(ends[1]);
    CHECK_EQUAL(errno, 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_sleeper_and_a_bell_are_both_served(void) {
    pp_spot spot = {0};
    int ends[2];
    char bytes[64];
    CHECK_EQUAL(pipe(ends), 0);
    uint32_t key = pp_spot_register(&spot);
    pp_spot_arm(&spot);
    pp_spot_notify(&spot, ends[1]);
    CHECK_EQUAL(pp_spot_sleep(&spot, key, FOREVER_NS), PP_OK);
    CHECK_EQUAL(read(ends[0], bytes, sizeof bytes), 8);
    close(ends[0]);
    close(ends[1]);
}

int main(void) {
    RUN(a_sleep_ends_with_its_time);
    RUN(a_wake_between_registering_and_sleeping_is_not_lost);
    RUN(a_notification_nobody_waits_for_leaves_nothing);
    RUN(threads_take_turns_and_no_wake_is_lost);
    RUN(processes_take_turns_and_no_wake_is_lost);
    RUN(everybody_is_woken_at_the_end);
    RUN(a_signal_ends_a_sleep_and_says_so);
    RUN(an_armed_spot_rings_the_bell_once);
    RUN(a_sleeper_and_a_bell_are_both_served);
    return 0;
}
