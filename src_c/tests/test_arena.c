/* test_arena.c - the arena's contract, one participant and many threads. Deaths: test_arena_crash.c. */
#include <pthread.h>
#include <string.h>

#include "arena.h"
#include "check.h"
#include "clock.h"
#include "segment_pages.h"

#define MIB ((uint64_t)1 << 20)

static void setup(pp_segment *segment, pp_arena *arena, uint64_t capacity) {
    CHECK_EQUAL(pp_segment_create(segment, pp_arena_segment_bytes(capacity)), PP_OK);
    CHECK_EQUAL(pp_arena_create(segment, capacity), PP_OK);
    CHECK_EQUAL(pp_arena_open(arena, segment, 1), PP_OK);
}

static uint64_t blocks_in_use(const pp_arena *arena) {
    uint64_t blocks;
    pp_arena_usage(arena, NULL, &blocks, NULL, NULL);
    return blocks;
}

static uint64_t bytes_reserved(const pp_arena *arena) {
    uint64_t bytes;
    pp_arena_usage(arena, NULL, NULL, NULL, &bytes);
    return bytes;
}

static pp_descriptor allocated(pp_arena *arena, uint64_t nbytes) {
    pp_descriptor block;
    CHECK_EQUAL(pp_arena_allocate(arena, nbytes, &block), PP_OK);
    CHECK_EQUAL(block.nbytes, nbytes);
    CHECK(pp_arena_bytes(arena, block) != NULL);
    return block;
}

static void creation_touches_little_memory(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, 1024 * MIB);
    CHECK(committed_bytes(&segment) <= 64 * 1024);
    uint64_t capacity, bytes;
    pp_arena_usage(&arena, &capacity, NULL, &bytes, NULL);
    CHECK_EQUAL(capacity, 1024 * MIB);
    CHECK_EQUAL(bytes, 0);
    pp_segment_close(&segment);
}

static void what_is_no_arena_is_refused(void) {
    pp_segment segment;
    pp_arena arena;
    CHECK_EQUAL(pp_segment_create(&segment, pp_arena_segment_bytes(MIB)), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_create(&segment, 64 * MIB), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_create(&segment, MIB), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_OK);
    pp_segment_close(&segment);
    CHECK_EQUAL(pp_arena_open(&arena, &segment, 1), PP_CORRUPT);
}

static void a_block_lives_from_allocation_to_the_last_release(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, 4 * MIB);
    static const uint64_t sizes[] = {0,      1,      256,     257,     4096,    100000,
                                     524288, 524289, 1048576, 1048577, 3000000, 4194304};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pp_descriptor block = allocated(&arena, sizes[i]);
        memset(pp_arena_bytes(&arena, block), (int)i, sizes[i]);
        CHECK_EQUAL(blocks_in_use(&arena), 1);
        CHECK_EQUAL(pp_arena_publish(&arena, block, 2), PP_OK);
        CHECK_EQUAL(pp_arena_retain(&arena, block), PP_OK);
        for (int count = 0; count < 3; count++) {
            CHECK_EQUAL(blocks_in_use(&arena), 1);
            CHECK_EQUAL(pp_arena_release(&arena, block), PP_OK);
        }
        CHECK_EQUAL(blocks_in_use(&arena), 0);
    }
    pp_segment_close(&segment);
}

static void an_unpublished_block_can_be_given_back(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, MIB);
    pp_descriptor block = allocated(&arena, 1000);
    CHECK_EQUAL(pp_arena_release(&arena, block), PP_OK);
    CHECK_EQUAL(blocks_in_use(&arena), 0);
    pp_segment_close(&segment);
}

static void misuse_is_told_and_changes_nothing(void) {
    pp_segment segment;
    pp_arena arena, other;
    setup(&segment, &arena, 4 * MIB);
    CHECK_EQUAL(pp_arena_open(&other, &segment, 2), PP_OK);
    pp_descriptor block = allocated(&arena, 1000);
    CHECK_EQUAL(pp_arena_publish(&other, block, 1), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_release(&other, block), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_retain(&arena, block), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_publish(&arena, block, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_publish(&arena, block, 65536), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_publish(&arena, block, 65535), PP_OK);
    CHECK_EQUAL(pp_arena_publish(&arena, block, 1), PP_CORRUPT);
    CHECK_EQUAL(pp_arena_retain(&arena, block), PP_FULL);
    for (int i = 0; i < 65535; i++) CHECK_EQUAL(pp_arena_release(&other, block), PP_OK);
    CHECK_EQUAL(pp_arena_release(&other, block), PP_CORRUPT);

    static const pp_descriptor wrong[] = {
        {64 * MIB, 1}, {UINT64_MAX, 1}, {3 * MIB, 1}, {1, 1}, {1024 + 512, 1}, {0, 1025}, {0, UINT64_MAX},
    };
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(pp_arena_bytes(&arena, wrong[i]) == NULL);
        CHECK_EQUAL(pp_arena_publish(&arena, wrong[i], 1), PP_CORRUPT);
        CHECK_EQUAL(pp_arena_retain(&arena, wrong[i]), PP_CORRUPT);
        CHECK_EQUAL(pp_arena_release(&arena, wrong[i]), PP_CORRUPT);
    }
    CHECK_EQUAL(blocks_in_use(&arena), 0);
    pp_segment_close(&segment);
}

static void a_full_arena_says_so_and_recovers(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, 2 * MIB);
    enum { MOST = 2 * 4096 };
    static pp_descriptor blocks[MOST];
    static const uint64_t sizes[] = {256, 1024, 65536, 524288, 2 * MIB};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t expected = 2 * MIB / sizes[s];
        for (uint64_t i = 0; i < expected; i++) blocks[i] = allocated(&arena, sizes[s]);
        pp_descriptor none;
        CHECK_EQUAL(pp_arena_allocate(&arena, sizes[s], &none), PP_FULL);
        CHECK_EQUAL(pp_arena_allocate(&arena, 1, &none), PP_FULL);
        uint64_t one = expected / 2;
        CHECK_EQUAL(pp_arena_release(&arena, blocks[one]), PP_OK);
        blocks[one] = allocated(&arena, sizes[s]);
        for (uint64_t i = 0; i < expected; i++) CHECK_EQUAL(pp_arena_release(&arena, blocks[i]), PP_OK);
        CHECK_EQUAL(blocks_in_use(&arena), 0);
    }
    pp_descriptor none;
    CHECK_EQUAL(pp_arena_allocate(&arena, 2 * MIB + 1, &none), PP_TOOBIG);
    CHECK_EQUAL(pp_arena_allocate(&arena, UINT64_MAX, &none), PP_TOOBIG);
    pp_segment_close(&segment);
}

static void a_small_block_may_lie_in_a_larger_one_when_nothing_else_is_free(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, MIB);
    pp_descriptor half = allocated(&arena, MIB / 2), small = allocated(&arena, 300), none;
    CHECK_EQUAL(pp_arena_allocate(&arena, 300, &none), PP_FULL);
    CHECK_EQUAL(pp_arena_release(&arena, half), PP_OK);
    CHECK_EQUAL(pp_arena_release(&arena, small), PP_OK);
    pp_segment_close(&segment);
}

static void a_steady_stream_stays_in_few_pages(void) {
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, 256 * MIB);
    enum { IN_FLIGHT = 3 };
    static const uint64_t sizes[] = {300, 100000, 500000, 3 * MIB};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t before = bytes_reserved(&arena);
        pp_descriptor blocks[IN_FLIGHT];
        for (int i = 0; i < 10000; i++) {
            if (i >= IN_FLIGHT) CHECK_EQUAL(pp_arena_release(&arena, blocks[i % IN_FLIGHT]), PP_OK);
            blocks[i % IN_FLIGHT] = allocated(&arena, sizes[s]);
            CHECK_EQUAL(pp_arena_publish(&arena, blocks[i % IN_FLIGHT], 1), PP_OK);
        }
        for (int i = 0; i < IN_FLIGHT; i++) CHECK_EQUAL(pp_arena_release(&arena, blocks[i]), PP_OK);
        uint64_t needed = IN_FLIGHT * ((sizes[s] - 1) / MIB + 1) * MIB;
        CHECK(bytes_reserved(&arena) - before <= needed + 64 * 1024);
    }
    pp_segment_close(&segment);
}

static void blocks_of_any_sizes_never_overlap(void) {
    enum { MOST = 600 };
    pp_segment segment;
    pp_arena arena;
    setup(&segment, &arena, 32 * MIB);
    static struct {
        pp_descriptor block;
        unsigned char mark;
    } live[MOST];
    unsigned count = 0;
    uint64_t random = 88172645463325252u, full = 0;
    for (int step = 0; step < 30000; step++) {
        uint64_t dice = next_random(&random);
        if (count < MOST && dice % 100 < 55) {
            uint64_t nbytes = next_random(&random) % ((uint64_t)1 << (next_random(&random) % 23));
            pp_descriptor block;
            int status = pp_arena_allocate(&arena, nbytes, &block);
            if (status == PP_FULL) {
                full++;
                continue;
            }
            CHECK_EQUAL(status, PP_OK);
            unsigned char *bytes = pp_arena_bytes(&arena, block), mark = (unsigned char)dice;
            /* The ends of each page show an overlap as well as all bytes would, and sooner. */
            for (uint64_t i = 0; i < nbytes; i += 256) bytes[i] = mark;
            if (nbytes > 0) bytes[nbytes - 1] = mark;
            CHECK_EQUAL(pp_arena_publish(&arena, block, 1), PP_OK);
            live[count].block = block;
            live[count++].mark = mark;
        } else if (count > 0) {
            unsigned i = (unsigned)(next_random(&random) % count);
            unsigned char *bytes = pp_arena_bytes(&arena, live[i].block);
            for (uint64_t j = 0; j < live[i].block.nbytes; j += 256) CHECK_EQUAL(bytes[j], live[i].mark);
            if (live[i].block.nbytes > 0) CHECK_EQUAL(bytes[live[i].block.nbytes - 1], live[i].mark);
            CHECK_EQUAL(pp_arena_release(&arena, live[i].block), PP_OK);
            live[i] = live[--count];
        }
        if (step % 1000 == 0) CHECK_EQUAL(blocks_in_use(&arena), count);
    }
    CHECK(full > 0); /* or the test was about an arena that is never full */
    while (count > 0) CHECK_EQUAL(pp_arena_release(&arena, live[--count].block), PP_OK);
    pp_descriptor all = allocated(&arena, 32 * MIB);
    CHECK_EQUAL(pp_arena_release(&arena, all), PP_OK);
    pp_segment_close(&segment);
}

/* ---- threads ---- */

/* Blocks change hands through these cells, so that each is released by another thread than its maker. */
enum { CELLS = 64, THREADS = 4, STEPS = 20000 };
typedef struct {
    pp_a64 word; /* 0 empty, 1 being changed, 2 full */
    pp_descriptor block;
} cell;
static cell cells[CELLS];
static pp_segment shared;
static bool one_owner; /* as the threads of one process have in a queue that processes share */

static void *exchange(void *argument) {
    pp_arena arena;
    uint16_t owner = one_owner ? 2 : (uint16_t)(uintptr_t)argument;
    CHECK_EQUAL(pp_arena_open(&arena, &shared, owner), PP_OK);
    uint64_t random = (uintptr_t)argument * 7919u;
    for (int step = 0; step < STEPS; step++) {
        cell *at = &cells[next_random(&random) % CELLS];
        uint64_t seen = pp_load_acq(&at->word);
        if (seen == 1 || !pp_cas64(&at->word, &seen, 1)) continue;
        if (seen == 2) {
            uint64_t *bytes = pp_arena_bytes(&arena, at->block);
            CHECK_EQUAL(bytes[0], at->block.offset);
            CHECK_EQUAL(bytes[at->block.nbytes / 8 - 1], at->block.offset);
            bytes[0] = 0;
            CHECK_EQUAL(pp_arena_release(&arena, at->block), PP_OK);
            pp_store_rel(&at->word, 0);
            continue;
        }
        uint64_t nbytes = 16 + next_random(&random) % ((uint64_t)1 << (next_random(&random) % 22)) / 8 * 8;
        int status = pp_arena_allocate(&arena, nbytes, &at->block);
        if (status == PP_OK) {
            uint64_t *bytes = pp_arena_bytes(&arena, at->block);
            bytes[0] = bytes[nbytes / 8 - 1] = at->block.offset;
            CHECK_EQUAL(pp_arena_publish(&arena, at->block, 1), PP_OK);
        } else {
            CHECK_EQUAL(status, PP_FULL);
        }
        pp_store_rel(&at->word, status == PP_OK ? 2 : 0);
    }
    return NULL;
}

static void threads_exchange_blocks_and_none_is_lost(void) {
    /* Small: the threads cut, reclaim and fill up the arena all the time. */
    pp_arena arena;
    setup(&shared, &arena, 8 * MIB);
    memset((void *)cells, 0, sizeof cells);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, exchange, (void *)(i + 2)), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    uint64_t left = 0;
    for (int i = 0; i < CELLS; i++) left += pp_load_acq(&cells[i].word) == 2;
    CHECK_EQUAL(blocks_in_use(&arena), left);
    for (int i = 0; i < CELLS; i++)
        if (pp_load_acq(&cells[i].word) == 2) CHECK_EQUAL(pp_arena_release(&arena, cells[i].block), PP_OK);
    pp_descriptor all = allocated(&arena, 8 * MIB);
    CHECK_EQUAL(pp_arena_release(&arena, all), PP_OK);
    pp_segment_close(&shared);
}

static void threads_of_one_owner_exchange_blocks_and_none_is_lost(void) {
    one_owner = true;
    threads_exchange_blocks_and_none_is_lost();
    one_owner = false;
}

int main(void) {
    RUN(creation_touches_little_memory);
    RUN(what_is_no_arena_is_refused);
    RUN(a_block_lives_from_allocation_to_the_last_release);
    RUN(an_unpublished_block_can_be_given_back);
    RUN(misuse_is_told_and_changes_nothing);
    RUN(a_full_arena_says_so_and_recovers);
    RUN(a_small_block_may_lie_in_a_larger_one_when_nothing_else_is_free);
    RUN(a_steady_stream_stays_in_few_pages);
    RUN(blocks_of_any_sizes_never_overlap);
    RUN(threads_exchange_blocks_and_none_is_lost);
    RUN(threads_of_one_owner_exchange_blocks_and_none_is_lost);
    return 0;
}
