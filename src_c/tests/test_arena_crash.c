/* test_arena_crash.c - processes that share an arena and are killed at random; what is left is exact.
 *
 * Each child notes in a journal in shared memory what it is about to publish or release, as a lease does.
 * After a kill the parent first decides from the journal and then repairs. One kind of note cannot be
 * decided while others run: whether a block that was being released is already somebody else's. These
 * are settled at the end, when nobody runs.
 */
#include <string.h>

#include "arena.h"
#include "check.h"
#include "clock.h"
#include "park.h"
#include "processes.h"

#define MIB ((uint64_t)1 << 20)
#define CAPACITY (6 * MIB)

enum { CHILDREN = 3, ENTRIES = 24 };
#if defined(_WIN32)
enum { KILLS = 60 }; /* each starts the program anew */
#else
enum { KILLS = 300 };
#endif
enum note { NOTHING = 0, PUBLISHING = 1, PUBLISHED = 2, RELEASING = 3 };

typedef struct {
    pp_a64 steps; /* so that the parent sees that children do get somewhere */
    struct {
        pp_a64 note;
        pp_descriptor block;
    } entries[ENTRIES];
} journal;

static pp_segment memory;   /* the arena */
static pp_segment notebook; /* one journal for each child */

static journal *journal_of(int child) { return (journal *)notebook.base + child; }

static void live(uint32_t argument) {
    int child = (int)(argument >> 16);
    uint16_t owner = (uint16_t)argument;
    pp_arena arena;
    journal *mine = journal_of(child);
    uint64_t random = owner * 2654435761u + 1;
    CHECK_EQUAL(pp_arena_open(&arena, &memory, owner), PP_OK);
    for (;;) {
        uint64_t i = next_random(&random) % ENTRIES;
        pp_a64 *note = &mine->entries[i].note;
        pp_descriptor *block = &mine->entries[i].block;
        if (pp_load_acq(note) == PUBLISHED) {
            pp_store_rel(note, RELEASING);
            CHECK_EQUAL(pp_arena_release(&arena, *block), PP_OK);
            pp_store_rel(note, NOTHING);
        } else {
            uint64_t nbytes = next_random(&random) % ((uint64_t)1 << (next_random(&random) % 22));
            int status = pp_arena_allocate(&arena, nbytes, block);
            CHECK(status == PP_OK || status == PP_FULL);
            if (status == PP_FULL) continue;
            pp_store_rel(note, PUBLISHING);
            CHECK_EQUAL(pp_arena_publish(&arena, *block, 1), PP_OK);
            pp_store_rel(note, PUBLISHED);
        }
        pp_add_rlx(&mine->steps, 1);
    }
}

static process start(int child, uint16_t owner) {
    memset(journal_of(child)->entries, 0, sizeof journal_of(child)->entries);
    return process_start((uint32_t)child << 16 | owner);
}

static pp_descriptor undecided[CHILDREN + KILLS + CHILDREN];
static unsigned undecided_count;

static void bury(pp_arena *arena, int child, uint16_t owner) {
    journal *of_dead = journal_of(child);
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t note = pp_load_acq(&of_dead->entries[i].note);
        pp_descriptor block = of_dead->entries[i].block;
        if (note == PUBLISHED) CHECK_EQUAL(pp_arena_release(arena, block), PP_OK);
        /* Before repair: still owned by the dead (then this is refused) or travelling. */
        if (note == PUBLISHING) pp_arena_release(arena, block);
        if (note == RELEASING) undecided[undecided_count++] = block;
    }
    pp_arena_repair(arena, owner);
}

static void nothing_is_lost_when_processes_are_killed(void) {
    pp_arena arena;
    process children[CHILDREN];
    uint16_t owners[CHILDREN], next_owner = 2;
    uint64_t random = 424242, steps = 0;
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(CAPACITY)), PP_OK);
    CHECK_EQUAL(pp_segment_create(&notebook, CHILDREN * sizeof(journal)), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&notebook, 0, CHILDREN * sizeof(journal)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&memory, CAPACITY), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &memory, 1), PP_OK);
    for (int i = 0; i < CHILDREN; i++) children[i] = start(i, owners[i] = next_owner++);
    for (int kills = 0; kills < KILLS + CHILDREN; kills++) {
        int victim = kills < KILLS ? (int)(next_random(&random) % CHILDREN) : kills - KILLS;
        pp_nap(next_random(&random) % 2000000);
        process_kill(children[victim]);
        bury(&arena, victim, owners[victim]);
        if (kills < KILLS) children[victim] = start(victim, owners[victim] = next_owner++);
    }
    for (unsigned i = 0; i < undecided_count; i++) pp_arena_release(&arena, undecided[i]);
    uint64_t left;
    pp_arena_usage(&arena, NULL, &left, NULL, NULL);
    CHECK_EQUAL(left, 0);
    pp_descriptor all;
    CHECK_EQUAL(pp_arena_allocate(&arena, CAPACITY, &all), PP_OK);
    for (int i = 0; i < CHILDREN; i++) steps += pp_load_acq(&journal_of(i)->steps);
    CHECK(steps > KILLS);
    printf("%llu steps, %u undecided\n", (unsigned long long)steps, undecided_count);
    pp_segment_close(&memory);
    pp_segment_close(&notebook);
}

int main(int argc, char **argv) {
    processes_begin(argc, argv, (process_plan){live, {&memory, &notebook}});
    RUN(nothing_is_lost_when_processes_are_killed);
    return 0;
}
