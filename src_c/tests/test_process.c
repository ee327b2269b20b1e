/* test_process.c - which process a pid is, and processes that die with another. */
#include "atomics.h"
#include "check.h"
#include "park.h"
#include "process.h"
#include "processes.h"

#if !defined(_WIN32)
#include <fcntl.h>
#endif

typedef struct {
    pp_a64 leader; /* pids */
    pp_a64 follower;
    pp_a64 born;
} notes;

static pp_segment memory;

static notes *noted(void) { return (notes *)memory.base; }

/* What another process is: one that waits, one that starts a follower and waits, that follower. */
enum { BYSTANDER, LEADER, FOLLOWER };

#if defined(_WIN32)
/* The handle of the process that the follower follows. */
static int handle_of_leader(void) {
    HANDLE leader = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)pp_load_acq(&noted()->leader));
    CHECK(leader != NULL);
    return (int)(intptr_t)leader;
}
#else
static int alive[2]; /* a pipe; the leader has its writing end */
#endif

static void wait_for_ever(void) {
    for (;;) pp_nap(1000000000);
}

static void act(uint32_t role) {
    if (role == LEADER) {
        pp_store_rel(&noted()->leader, (uint64_t)own_process_id());
#if !defined(_WIN32)
        CHECK_EQUAL(pipe(alive), 0);
#endif
        process_start(FOLLOWER);
    }
    if (role == FOLLOWER) {
#if defined(_WIN32)
        CHECK_EQUAL(pp_process_follow(handle_of_leader()), PP_OK);
#else
        CHECK_EQUAL(close(alive[1]), 0);
        CHECK_EQUAL(pp_process_follow(alive[0]), PP_OK);
#endif
        pp_store_rel(&noted()->born, pp_process_born(own_process_id()));
        pp_store_rel(&noted()->follower, (uint64_t)own_process_id());
    }
    wait_for_ever();
}

static void share_memory(void) {
    CHECK_EQUAL(pp_segment_create(&memory, sizeof(notes)), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&memory, 0, sizeof(notes)), PP_OK);
}

static void who_lives_was_born_and_who_died_was_not(void) {
    share_memory();
    uint64_t own = pp_process_born(own_process_id());
    CHECK(own != 0);
    CHECK_EQUAL(pp_process_born(own_process_id()), own);
    process other = process_start(BYSTANDER);
    int64_t pid = process_id(other);
    CHECK(pp_process_born(pid) >= own);
    process_kill(other);
    CHECK_EQUAL(pp_process_born(pid), 0);
    pp_segment_close(&memory);
}

static void who_follows_dies_with_its_leader(void) {
    share_memory();
    process leader = process_start(LEADER);
    uint64_t pid;
    while ((pid = pp_load_acq(&noted()->follower)) == 0) pp_nap(1000000);
    uint64_t born = pp_load_acq(&noted()->born);
    CHECK(born != 0);
    CHECK_EQUAL(pp_process_born((int64_t)pid), born);
    process_kill(leader);
    while (pp_process_born((int64_t)pid) == born) pp_nap(1000000); /* or for ever, when it does not */
    pp_segment_close(&memory);
}

int main(int argc, char **argv) {
    processes_begin(argc, argv, (process_plan){act, {&memory}});
    RUN(who_lives_was_born_and_who_died_was_not);
    RUN(who_follows_dies_with_its_leader);
    return 0;
}
