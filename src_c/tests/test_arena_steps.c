/* test_arena_steps.c - a death at every instruction of the arena's operations, and at every instruction of
 * the repair after it: once repaired nothing is lost and nothing is there twice, which is tried by using the
 * arena up to its last byte. */
#include <unistd.h>

#include "arena_chunks.h"
#include "check.h"
#include "steps.h"
#include "tally.h"

#define MIB ((uint64_t)1 << 20)
/* Small blocks, few to a chunk: what is done to one is done to each, and takes its time. */
#define PARTS 4
#define SMALL (MIB / PARTS)

enum { CHUNKS = 4, PARENT = 1, CHILD = 2 };

static pp_segment memory;

static void must(int status) {
    if (status != PP_OK) _exit(3);
}

static pp_descriptor take(pp_arena *arena, uint64_t nbytes) {
    pp_descriptor block;
    must(pp_arena_allocate(arena, nbytes, &block));
    return block;
}

/* ---- scenarios: what is there before, and what the child then does ---- */

static void prepare_nothing(pp_arena *arena) { (void)arena; }

static void leave_free(pp_arena *arena, uint64_t nbytes) {
    pp_descriptor blocks[64];
    unsigned count = 0;
    while (pp_arena_allocate(arena, nbytes, &blocks[count]) == PP_OK) count++;
    while (count > 0) must(pp_arena_release(arena, blocks[--count]));
}

static void prepare_cut(pp_arena *arena) { leave_free(arena, SMALL); }

static void prepare_run(pp_arena *arena) { leave_free(arena, CHUNKS * MIB); }

static void do_small(pp_arena *arena) {
    pp_descriptor block = take(arena, SMALL - 500);
    must(pp_arena_publish(arena, block, 1));
    must(pp_arena_retain(arena, block));
    must(pp_arena_release(arena, block));
    must(pp_arena_release(arena, block));
}

static void do_run(pp_arena *arena) {
    pp_descriptor block = take(arena, 3 * MIB);
    must(pp_arena_publish(arena, block, 1));
    must(pp_arena_release(arena, block));
}

static void do_unpublished(pp_arena *arena) {
    pp_descriptor block = take(arena, 2 * MIB), small = take(arena, SMALL - 500);
    must(pp_arena_release(arena, block));
    must(pp_arena_release(arena, small));
}

static void do_fill(pp_arena *arena) {
    pp_descriptor blocks[2];
    /* A full chunk, so that the search that finds nothing is walked through as well. */
    for (int i = 0; i < 2; i++) blocks[i] = take(arena, MIB / 2);
    pp_descriptor another = take(arena, MIB / 2);
    must(pp_arena_release(arena, blocks[0]));
    must(pp_arena_release(arena, blocks[1]));
    must(pp_arena_release(arena, another));
}

static void prepare_full(pp_arena *arena) {
    pp_descriptor block;
    while (pp_arena_allocate(arena, SMALL, &block) == PP_OK) must(pp_arena_publish(arena, block, 1));
}

static void do_release_in_full(pp_arena *arena) {
    static const uint64_t blocks[] = {1, 4, 15};
    for (int i = 0; i < 3; i++) must(pp_arena_release(arena, (pp_descriptor){blocks[i] * SMALL, 1}));
    pp_descriptor block = take(arena, SMALL);
    must(pp_arena_release(arena, block));
}

/* ---- the check of one death ---- */

static void bury(void) {
    pp_arena arena;
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    uint64_t travelling = 0;
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
        for (uint64_t i = 0; i < PP_WORDS_MAX; i++) {
            pp_a64 *word = &pp_words_of(&arena, chunk)[i];
            uint64_t seen = pp_load_acq(word);
            if (seen == 0 || seen > PP_BLOCK_COUNT_MAX) continue;
            /* What travels is the business of slots and leases: here, the last of them lets go. */
            uint64_t block_bytes = pp_load_acq(&pp_chunk_at(&arena, chunk)->word) > PP_CLASSES ? 0 : SMALL;
            pp_descriptor block = {chunk * PP_CHUNK_BYTES + i * block_bytes, 1};
            pp_store_rel(word, 1);
            CHECK_EQUAL(pp_arena_release(&arena, block), PP_OK);
            travelling++;
        }
    }
    CHECK(travelling <= 1);
    pp_arena_repair(&arena, CHILD);
    CHECK_EQUAL(pp_arena_repair(&arena, CHILD), 0);
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
        uint64_t word = pp_load_acq(&pp_chunk_at(&arena, chunk)->word);
        CHECK(PP_CHUNK_STATE(word) != PP_CHUNK_CLAIMED);
        for (uint64_t i = 0; i < PP_WORDS_MAX; i++)
            CHECK_EQUAL(pp_load_acq(&pp_words_of(&arena, chunk)[i]), 0);
    }
    static const uint64_t sizes[] = {SMALL, CHUNKS * MIB, MIB / 2, 2 * MIB};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        pp_descriptor blocks[CHUNKS * PARTS], none;
        uint64_t count = CHUNKS * MIB / sizes[s];
        for (uint64_t i = 0; i < count; i++)
            CHECK_EQUAL(pp_arena_allocate(&arena, sizes[s], &blocks[i]), PP_OK);
        CHECK_EQUAL(pp_arena_allocate(&arena, 1, &none), PP_FULL);
        for (uint64_t i = 0; i < count; i++) CHECK_EQUAL(pp_arena_release(&arena, blocks[i]), PP_OK);
    }
}

/* In an arena where all else is in use, what was freed must be found: the chunk's hint says "nothing" when
 * the child dies between freeing a block and saying so. */
static void bury_in_full(void) {
    pp_arena arena;
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    pp_arena_repair(&arena, CHILD);
    uint64_t free_blocks = 0, found = 0;
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++)
        for (uint64_t i = 0; i < PARTS; i++) free_blocks += pp_load_acq(&pp_words_of(&arena, chunk)[i]) == 0;
    pp_descriptor block;
    while (pp_arena_allocate(&arena, SMALL, &block) == PP_OK) found++;
    CHECK_EQUAL(found, free_blocks);
}

/* ---- deaths ---- */

static void (*scenario)(pp_arena *);

static void in_child(void) {
    pp_arena mine;
    must(pp_arena_open(&mine, &memory, CHILD));
    scenario(&mine);
}

static void repair(void) {
    pp_arena arena;
    must(pp_arena_open(&arena, &memory, PARENT));
    pp_arena_repair(&arena, CHILD);
}

/* Everything before the payload: the header, the chunk table and the block words. */
static uint64_t watched;
static unsigned char *last_seen;

static bool memory_has_changed(void) {
    if (memcmp(last_seen, memory.base, watched) == 0) return false;
    memcpy(last_seen, memory.base, watched);
    return true;
}

/* With `memory` as in `image`, kill at the points of the path. */
static void kill_along(const path *p, void (*act)(void), const unsigned char *image, uint64_t every,
                       void (*on_death)(void), tally *sum) {
    for (uint64_t at = 0; at < p->count; at++) {
        if (at % every != 0 && !p->changed[at]) continue;
        memcpy(memory.base, image, watched);
        walker w = walker_start(act);
        walker_go(&w, p, at);
        walker_kill(&w);
        on_death();
        sum->points++;
    }
}

static unsigned char *image_of_death;
static void (*check_death)(void);
static tally of_repairers;

/* The repairer dies at each step that changes something, and another one takes over. It only stands still
 * meanwhile, which leaves the same memory: hundreds of deaths, each with hundreds of repairs, take long. */
static void kill_repairers(void) {
    walker w = walker_start(repair);
    memory_has_changed();
    bool changed = true;
    do {
        if (!changed) continue;
        memcpy(image_of_death, memory.base, watched);
        check_death();
        memcpy(memory.base, image_of_death, watched);
        of_repairers.points++;
    } while (walker_step(&w) == WALKED && (changed = memory_has_changed(), true));
    walker_kill(&w);
}

static void step_through(const char *name, void (*prepare)(pp_arena *), void (*run)(pp_arena *),
                         void (*check)(void)) {
    static path of_child;
    pp_arena arena;
    tally of_deaths = {0};
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(CHUNKS * MIB)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&memory, CHUNKS * MIB), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    prepare(&arena);
    scenario = run;
    check_death = check;
    of_repairers = (tally){0};
    watched = arena.header->payload_offset;
    last_seen = calloc(3, watched);
    CHECK(last_seen != NULL);
    unsigned char *image = last_seen + watched;
    image_of_death = image + watched;
    memcpy(image, memory.base, watched);

    walker w = walker_start(in_child);
    path_record(&of_child, &w, memory_has_changed);
    kill_along(&of_child, in_child, image, steps_every(20), check, &of_deaths);
    report(name, "arena", &of_deaths);
    tally again = {0};
    kill_along(&of_child, in_child, image, MOST_STEPS, kill_repairers, &again);
    report("    its repair", "arena", &of_repairers);
    free(last_seen);
    pp_segment_close(&memory);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    print_heading();
    step_through("first small block", prepare_nothing, do_small, bury);
    step_through("small block in a free cut", prepare_cut, do_small, bury);
    step_through("small block where a run was", prepare_run, do_small, bury);
    step_through("first run", prepare_nothing, do_run, bury);
    step_through("run where cuts were", prepare_cut, do_run, bury);
    step_through("run reused", prepare_run, do_run, bury);
    step_through("unpublished, cuts before", prepare_cut, do_unpublished, bury);
    step_through("unpublished, a run before", prepare_run, do_unpublished, bury);
    step_through("full chunk", prepare_nothing, do_fill, bury);
    step_through("full chunk, cuts before", prepare_cut, do_fill, bury);
    step_through("release in a full arena", prepare_full, do_release_in_full, bury_in_full);
    return report_total();
}
