/* test_arena_steps.c - a death at every instruction of the arena's operations: after repair nothing is
 * lost and nothing is there twice, which is tried by using the arena up to its last byte. */
#include <unistd.h>

#include "arena_chunks.h"
#include "check.h"
#include "steps.h"

#define MIB ((uint64_t)1 << 20)

enum { CHUNKS = 4, PARENT = 1, CHILD = 2 };

static pp_segment memory, copy;

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

static void prepare_cut(pp_arena *arena) { leave_free(arena, MIB / 16); }

static void prepare_run(pp_arena *arena) { leave_free(arena, CHUNKS * MIB); }

static void do_small(pp_arena *arena) {
    pp_descriptor block = take(arena, 65000);
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
    pp_descriptor block = take(arena, 2 * MIB), small = take(arena, 65000);
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
    while (pp_arena_allocate(arena, MIB / 16, &block) == PP_OK) must(pp_arena_publish(arena, block, 1));
}

static void do_release_in_full(pp_arena *arena) {
    static const uint64_t blocks[] = {5, 16, 63};
    for (int i = 0; i < 3; i++) must(pp_arena_release(arena, (pp_descriptor){blocks[i] * MIB / 16, 1}));
    pp_descriptor block = take(arena, MIB / 16);
    must(pp_arena_release(arena, block));
}

/* ---- the check of one death ---- */

static void bury(void) {
    pp_arena arena;
    CHECK_EQUAL(pp_arena_open(&arena, &copy, PARENT), PP_OK);
    uint64_t travelling = 0;
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
        for (uint64_t i = 0; i < PP_WORDS_MAX; i++) {
            pp_a64 *word = &pp_words_of(&arena, chunk)[i];
            uint64_t seen = pp_load_acq(word);
            if (seen == 0 || seen > PP_BLOCK_COUNT_MAX) continue;
            /* What travels is the business of slots and leases: here, the last of them lets go. */
            uint64_t block_bytes = pp_load_acq(&pp_chunk_at(&arena, chunk)->word) > PP_CLASSES ? 0 : MIB / 16;
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
    static const uint64_t sizes[] = {MIB / 16, CHUNKS * MIB, MIB / 2, 2 * MIB};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        pp_descriptor blocks[CHUNKS * 16], none;
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
    CHECK_EQUAL(pp_arena_open(&arena, &copy, PARENT), PP_OK);
    pp_arena_repair(&arena, CHILD);
    uint64_t free_blocks = 0, found = 0;
    for (uint64_t chunk = 0; chunk < CHUNKS; chunk++)
        for (uint64_t i = 0; i < 16; i++) free_blocks += pp_load_acq(&pp_words_of(&arena, chunk)[i]) == 0;
    pp_descriptor block;
    while (pp_arena_allocate(&arena, MIB / 16, &block) == PP_OK) found++;
    CHECK_EQUAL(found, free_blocks);
}

static void (*scenario)(pp_arena *);

static void in_child(void) {
    pp_arena mine;
    must(pp_arena_open(&mine, &memory, CHILD));
    scenario(&mine);
}

static void step_through(const char *name, void (*prepare)(pp_arena *), void (*run)(pp_arena *),
                         void (*check)(void)) {
    pp_arena arena;
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(CHUNKS * MIB)), PP_OK);
    CHECK_EQUAL(pp_segment_create(&copy, memory.nbytes), PP_OK);
    CHECK_EQUAL(pp_arena_create(&memory, CHUNKS * MIB), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    prepare(&arena);
    scenario = run;
    /* Everything before the payload: the header, the chunk table and the block words. */
    steps_through(name, in_child, memory.base, arena.header->payload_offset, copy.base, check);
    pp_segment_close(&memory);
    pp_segment_close(&copy);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
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
    return 0;
}
