/* test_holding.c - blocks that processes hold and lend, one participant and many threads. Deaths:
 * test_holding_steps.c. */
#include <pthread.h>
#include <string.h>

#include "arena_chunks.h"
#include "check.h"
#include "clock.h"
#include "park.h"

#define MIB ((uint64_t)1 << 20)

enum { A = 1, B = 2 }; /* participants; as holders one less */

static pp_segment memory;
static pp_arena of_a, of_b;

static void setup(uint64_t capacity) {
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(capacity)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&memory, capacity), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_a, &memory, A), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_b, &memory, B), PP_OK);
}

static pp_descriptor allocated(uint64_t nbytes) {
    pp_descriptor block;
    CHECK_EQUAL(pp_arena_allocate(&of_a, nbytes, &block), PP_OK);
    return block;
}

static uint64_t in_use(void) {
    uint64_t blocks;
    pp_arena_usage(&of_a, NULL, &blocks, NULL, NULL);
    return blocks;
}

static bool dropped(pp_descriptor block, unsigned holder) {
    bool freed;
    CHECK_EQUAL(pp_block_drop(&of_a, block, holder, &freed), PP_OK);
    return freed;
}

static void a_held_block_outlives_what_it_travelled_in(void) {
    setup(MIB);
    pp_descriptor block = allocated(MIB), other;
    CHECK_EQUAL(pp_arena_publish(&of_a, block, 1), PP_OK);
    CHECK_EQUAL(pp_block_hold(&of_b, block, 1), PP_OK);
    CHECK_EQUAL(pp_block_hold(&of_b, block, 1), PP_OK); /* held is held */
    CHECK_EQUAL(pp_arena_release(&of_b, block), PP_OK);
    CHECK_EQUAL(in_use(), 1);
    CHECK_EQUAL(pp_arena_allocate(&of_a, 1, &other), PP_FULL);
    CHECK(dropped(block, 1));
    CHECK_EQUAL(in_use(), 0);
    CHECK_EQUAL(pp_arena_allocate(&of_a, 1, &other), PP_OK);
    pp_segment_close(&memory);
}

static void what_is_born_held_can_be_lent_and_lent_on(void) {
    setup(MIB);
    pp_descriptor block = allocated(1000);
    CHECK_EQUAL(pp_block_hold(&of_a, block, 0), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_a, block, 0, A), PP_OK);
    CHECK_EQUAL(pp_block_lent(&of_a, block, A), PP_OK);
    CHECK(!dropped(block, 0));
    /* It arrives at B, who looks at it, lends it on and lets go. */
    CHECK_EQUAL(pp_block_hold(&of_b, block, 1), PP_OK);
    CHECK_EQUAL(pp_arena_release(&of_b, block), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_b, block, 1, B), PP_OK);
    CHECK(!dropped(block, 1));
    CHECK_EQUAL(pp_block_lent(&of_b, block, B), PP_OK);
    CHECK_EQUAL(in_use(), 1);
    CHECK_EQUAL(pp_arena_release(&of_a, block), PP_OK);
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static void a_receiver_may_be_quicker_than_its_lender(void) {
    setup(MIB);
    pp_descriptor block = allocated(1000);
    CHECK_EQUAL(pp_block_hold(&of_a, block, 0), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_a, block, 0, A), PP_OK);
    CHECK_EQUAL(pp_arena_release(&of_b, block), PP_OK);
    CHECK(!dropped(block, 0));
    CHECK_EQUAL(in_use(), 1); /* the mark is on it */
    CHECK_EQUAL(pp_block_lent(&of_a, block, A), PP_OK);
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static void a_loan_that_is_not_sent_is_returned(void) {
    setup(MIB);
    bool freed;
    pp_descriptor block = allocated(1000);
    CHECK_EQUAL(pp_block_hold(&of_a, block, 0), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_a, block, 0, A), PP_OK);
    CHECK_EQUAL(pp_block_return(&of_a, block, A, &freed), PP_OK);
    CHECK(!freed);
    CHECK(dropped(block, 0));
    pp_segment_close(&memory);
}

static void who_lends_takes_the_mark_over(void) {
    setup(MIB);
    bool freed;
    pp_descriptor block = allocated(1000);
    CHECK_EQUAL(pp_arena_publish(&of_a, block, 2), PP_OK);
    CHECK_EQUAL(pp_block_hold(&of_a, block, 0), PP_OK);
    CHECK_EQUAL(pp_block_hold(&of_b, block, 1), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_a, block, 0, A), PP_OK);
    CHECK_EQUAL(pp_block_leave(&of_b, block, B), PP_FULL);
    CHECK_EQUAL(pp_block_lend(&of_b, block, 1, B), PP_OK);
    CHECK_EQUAL(pp_block_leave(&of_a, block, A), PP_FULL);
    CHECK_EQUAL(pp_block_lent(&of_a, block, A), PP_OK); /* late, and nothing is left to say */
    pp_arena_settle(&of_b, A, 0, true);                 /* nor to undo, but that A holds it */
    CHECK_EQUAL(pp_block_return(&of_b, block, B, &freed), PP_OK);
    CHECK_EQUAL(pp_block_lend(&of_b, block, 1, B), PP_OK);
    CHECK_EQUAL(pp_block_lent(&of_b, block, B), PP_OK);
    CHECK_EQUAL(pp_block_leave(&of_b, block, B), PP_OK);
    CHECK_EQUAL(pp_block_return(&of_b, block, B, &freed), PP_OK);
    CHECK(!freed);
    CHECK(!dropped(block, 1));
    /* The two that it was published with, and the two that were lent, less the two that came back. */
    for (int i = 0; i < 3; i++) CHECK_EQUAL(pp_arena_release(&of_b, block), PP_OK);
    CHECK_EQUAL(in_use(), 0);
    CHECK_EQUAL(pp_block_lent(&of_a, block, A), PP_OK); /* free by now */
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static void what_is_not_there_is_refused(void) {
    setup(2 * MIB);
    bool freed;
    pp_descriptor block = allocated(1000), nowhere = {5 * MIB, 1}, free_block = {block.offset + 1024, 1};
    CHECK_EQUAL(pp_block_hold(&of_b, free_block, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_block_drop(&of_b, block, 0, &freed), PP_CORRUPT);
    CHECK_EQUAL(pp_block_lend(&of_b, block, 0, B), PP_CORRUPT);
    CHECK_EQUAL(pp_block_leave(&of_b, block, B), PP_CORRUPT);
    CHECK_EQUAL(pp_block_return(&of_b, block, B, &freed), PP_CORRUPT);
    CHECK_EQUAL(pp_block_hold(&of_b, nowhere, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_block_drop(&of_b, nowhere, 0, &freed), PP_CORRUPT);
    CHECK_EQUAL(pp_block_lend(&of_b, nowhere, 0, B), PP_CORRUPT);
    CHECK_EQUAL(pp_block_lent(&of_b, nowhere, B), PP_CORRUPT);
    CHECK_EQUAL(pp_block_leave(&of_b, nowhere, B), PP_CORRUPT);
    CHECK_EQUAL(pp_block_return(&of_b, nowhere, B, &freed), PP_CORRUPT);
    pp_segment_close(&memory);
}

static void the_block_of_an_address_is_found(void) {
    setup(8 * MIB);
    pp_descriptor small = allocated(3000), run = allocated(3 * MIB), found;
    CHECK_EQUAL(pp_block_at(&of_b, small.offset + 2999, 1, &found), PP_OK);
    CHECK_EQUAL(found.offset, small.offset);
    CHECK_EQUAL(found.nbytes, 4096);
    CHECK_EQUAL(pp_block_at(&of_b, small.offset + 4000, 97, &found), PP_CORRUPT);
    CHECK_EQUAL(pp_block_at(&of_b, run.offset + 2 * MIB + 5, MIB - 5, &found), PP_OK);
    CHECK_EQUAL(found.offset, run.offset);
    CHECK_EQUAL(found.nbytes, 3 * MIB);
    CHECK_EQUAL(pp_block_at(&of_b, run.offset + 2 * MIB + 5, MIB - 4, &found), PP_CORRUPT);
    CHECK_EQUAL(pp_block_at(&of_b, run.offset + MIB, 0, &found), PP_OK);
    CHECK_EQUAL(pp_block_at(&of_b, 7 * MIB, 1, &found), PP_CORRUPT);
    CHECK_EQUAL(pp_block_at(&of_b, 8 * MIB, 0, &found), PP_CORRUPT);
    CHECK_EQUAL(pp_block_at(&of_b, UINT64_MAX, 1, &found), PP_CORRUPT);
    CHECK_EQUAL(pp_block_at(&of_b, small.offset, UINT64_MAX, &found), PP_CORRUPT);
    pp_segment_close(&memory);
}

static void all_together_hold_no_more_than_the_limit(void) {
    setup(MIB);
    CHECK(pp_arena_may_hold(&of_a, 0, 600, 1000));
    CHECK(!pp_arena_may_hold(&of_b, 1, 401, 1000));
    CHECK(pp_arena_may_hold(&of_b, 1, 400, 1000));
    pp_arena_unhold(&of_a, 0, 600);
    CHECK(pp_arena_may_hold(&of_b, 31, 600, 1000));
    pp_arena_unhold(&of_b, 31, 600);
    pp_arena_press(&of_a, true);
    CHECK(!pp_arena_may_hold(&of_b, 1, 1, 1000));
    pp_arena_press(&of_a, false);
    CHECK(pp_arena_may_hold(&of_b, 1, 1, 1000));
    pp_segment_close(&memory);
}

static void a_death_undoes_what_was_not_sent(void) {
    for (int undo = 0; undo < 2; undo++) {
        setup(MIB);
        pp_descriptor lent = allocated(1000), held = allocated(1000), shared = allocated(1000);
        CHECK_EQUAL(pp_block_hold(&of_a, lent, 0), PP_OK);
        CHECK_EQUAL(pp_block_lend(&of_a, lent, 0, A), PP_OK);
        CHECK_EQUAL(pp_block_hold(&of_a, held, 0), PP_OK);
        CHECK_EQUAL(pp_arena_publish(&of_a, shared, 1), PP_OK);
        CHECK_EQUAL(pp_block_hold(&of_a, shared, 0), PP_OK);
        CHECK_EQUAL(pp_block_hold(&of_b, shared, 1), PP_OK);
        CHECK_EQUAL(pp_block_leave(&of_a, shared, A), PP_OK);
        pp_descriptor unpublished = allocated(1000);
        CHECK(pp_arena_may_hold(&of_a, 0, 500, 1000));
        for (int twice = 0; twice < 2; twice++) pp_arena_settle(&of_b, A, 0, undo);
        CHECK_EQUAL(pp_arena_repair(&of_b, A), 1);
        CHECK_EQUAL(in_use(), undo ? 1 : 2);
        CHECK(pp_arena_may_hold(&of_b, 1, 1000, 1000));
        if (!undo) {
            CHECK_EQUAL(pp_arena_release(&of_b, lent), PP_OK);
            CHECK_EQUAL(pp_arena_release(&of_b, shared), PP_OK);
        }
        CHECK(dropped(shared, 1));
        CHECK_EQUAL(in_use(), 0);
        (void)unpublished;
        pp_segment_close(&memory);
    }
}

/* ---- threads: no block is used anew while somebody holds it ---- */

enum { THREADS = 3, MAILBOXES = 8, BLOCK = 50000 };

static pp_a64 mailboxes[MAILBOXES]; /* offset + 1 of a block that travels */
static uint64_t until_ns;

static void fill(pp_arena *arena, pp_descriptor block, uint64_t stamp) {
    uint64_t *words = pp_arena_bytes(arena, block);
    for (unsigned i = 0; i < BLOCK / 8; i += 64) words[i] = stamp;
}

static void check_filled(pp_arena *arena, pp_descriptor block, uint64_t stamp) {
    const uint64_t *words = pp_arena_bytes(arena, block);
    for (unsigned i = 0; i < BLOCK / 8; i += 64) CHECK_EQUAL(words[i], stamp);
}

static uint64_t stamp_of(const pp_arena *arena, pp_descriptor block) {
    return *(uint64_t *)pp_arena_bytes(arena, block);
}

/* Put into a free mailbox; false when all are full. */
static bool post(uint64_t *random, pp_descriptor block) {
    uint64_t empty = 0;
    return pp_cas64(&mailboxes[next_random(random) % MAILBOXES], &empty, block.offset + 1);
}

static void *hold_and_lend(void *which) {
    unsigned holder = (unsigned)(uintptr_t)which;
    uint16_t me = (uint16_t)(holder + 1);
    uint64_t random = me * 2654435761u + 1, passed_on = 0;
    pp_arena arena;
    CHECK_EQUAL(pp_arena_open(&arena, &memory, me), PP_OK);
    while (pp_now_ns() < until_ns) {
        pp_descriptor block = {0, 1};
        bool freed;
        uint64_t offset = pp_load_acq(&mailboxes[next_random(&random) % MAILBOXES]);
        if (offset != 0) {
            uint64_t seen = offset;
            unsigned at = 0;
            while (at < MAILBOXES &&
                   !(pp_load_acq(&mailboxes[at]) == offset && pp_cas64(&mailboxes[at], &seen, 0))) {
                seen = offset;
                at++;
            }
            if (at == MAILBOXES) continue;
            block.offset = offset - 1;
            CHECK_EQUAL(pp_block_hold(&arena, block, holder), PP_OK);
            CHECK_EQUAL(pp_arena_release(&arena, block), PP_OK);
        } else {
            if (pp_arena_allocate(&arena, BLOCK, &block) != PP_OK) continue;
            CHECK_EQUAL(pp_block_hold(&arena, block, holder), PP_OK);
            fill(&arena, block, next_random(&random));
        }
        uint64_t stamp = stamp_of(&arena, block);
        check_filled(&arena, block, stamp);
        /* Full: who has sent it to us has not come to take its mark away. */
        int lent = next_random(&random) % 8 != 0 ? pp_block_lend(&arena, block, holder, me) : PP_FULL;
        CHECK(lent == PP_OK || lent == PP_FULL);
        if (lent == PP_OK) {
            if (post(&random, block)) {
                CHECK_EQUAL(pp_block_lent(&arena, block, me), PP_OK);
                passed_on++;
            } else {
                CHECK_EQUAL(pp_block_return(&arena, block, me, &freed), PP_OK);
            }
        }
        /* Whoever has it by now reads as we do. */
        check_filled(&arena, block, stamp);
        CHECK_EQUAL(pp_block_drop(&arena, block, holder, &freed), PP_OK);
    }
    CHECK(passed_on > 100);
    return NULL;
}

static void no_block_is_used_anew_while_it_is_held(void) {
    setup(2 * MIB);
    pthread_t threads[THREADS];
    until_ns = pp_now_ns() + 1000000000u;
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, hold_and_lend, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < MAILBOXES; i++) {
        uint64_t offset = pp_load_acq(&mailboxes[i]);
        if (offset != 0) CHECK_EQUAL(pp_arena_release(&of_a, (pp_descriptor){offset - 1, 1}), PP_OK);
    }
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static void the_spare_gives_room_when_everything_else_is_held(void) {
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(4 * MIB)), PP_OK);
    CHECK_EQUAL(pp_arena_create_zones(&memory, (pp_zones){2 * MIB, 0, 2 * MIB}, false), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_a, &memory, A), PP_OK);
    uint64_t capacity;
    pp_arena_usage(&of_a, &capacity, NULL, NULL, NULL);
    CHECK_EQUAL(capacity, 2 * MIB);
    /* One small block in each chunk is enough to leave no room for a large one. */
    pp_descriptor small[32], other, spare;
    for (int i = 0; i < 32; i++) small[i] = allocated(MIB / 16);
    for (int i = 0; i < 32; i++)
        if (i % 16 != 0) CHECK_EQUAL(pp_arena_release(&of_a, small[i]), PP_OK);
    CHECK_EQUAL(pp_arena_allocate(&of_a, MIB, &other), PP_FULL);
    CHECK_EQUAL(pp_arena_spill(&of_a, 2 * MIB, &spare), PP_OK);
    CHECK(spare.offset >= of_a.holdable * PP_CHUNK_BYTES);
    CHECK(pp_arena_bytes(&of_a, spare) != NULL);
    CHECK_EQUAL(pp_arena_spill(&of_a, 1, &other), PP_FULL);
    CHECK_EQUAL(pp_arena_allocate(&of_a, 3 * MIB, &other), PP_TOOBIG);
    CHECK_EQUAL(pp_arena_release(&of_a, spare), PP_OK);
    /* Cut anew, and used again. */
    CHECK_EQUAL(pp_arena_spill(&of_a, 1, &spare), PP_OK);
    CHECK_EQUAL(pp_arena_release(&of_a, spare), PP_OK);
    CHECK_EQUAL(pp_arena_spill(&of_a, 2 * MIB, &spare), PP_OK);
    /* Whoever is in front never gets a block of the spare. */
    CHECK_EQUAL(pp_arena_allocate(&of_a, MIB / 16, &other), PP_OK);
    CHECK(other.offset < of_a.holdable * PP_CHUNK_BYTES);
    CHECK_EQUAL(pp_arena_repair(&of_a, A), 4);
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static void large_blocks_have_room_behind_the_common_zone(void) {
    pp_zones zones = {16 * MIB, 24 * MIB, 16 * MIB};
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(56 * MIB)), PP_OK);
    CHECK_EQUAL(pp_arena_create_zones(&memory, zones, false), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_a, &memory, A), PP_OK);
    uint64_t capacity;
    pp_arena_usage(&of_a, &capacity, NULL, NULL, NULL);
    CHECK_EQUAL(capacity, zones.common);
    CHECK_EQUAL(pp_arena_holdable_for(&of_a, MIB), zones.common);
    CHECK_EQUAL(pp_arena_holdable_for(&of_a, 2 * MIB), zones.common + 4 * 2 * MIB);
    CHECK_EQUAL(pp_arena_holdable_for(&of_a, 16 * MIB), zones.common + zones.large);
    /* One small block in the first chunk: seven large ones beside it, none across the end, four behind. */
    allocated(MIB / 16);
    uint64_t expected[] = {1, 3, 5, 7, 9, 11, 13, 16, 18, 20, 22};
    pp_descriptor last, other;
    for (int i = 0; i < 11; i++) {
        last = allocated(2 * MIB);
        CHECK_EQUAL(last.offset, expected[i] * PP_CHUNK_BYTES);
    }
    CHECK_EQUAL(pp_arena_allocate(&of_a, 2 * MIB, &other), PP_FULL);
    /* What is larger has room further behind; what is not large has the last chunk of the common zone. */
    CHECK_EQUAL(allocated(3 * MIB).offset, 24 * PP_CHUNK_BYTES);
    CHECK_EQUAL(allocated(MIB).offset, 15 * PP_CHUNK_BYTES);
    CHECK_EQUAL(pp_arena_allocate(&of_a, MIB, &other), PP_FULL);
    CHECK_EQUAL(pp_arena_allocate(&of_a, 17 * MIB, &other), PP_TOOBIG);
    CHECK_EQUAL(pp_arena_spill(&of_a, 16 * MIB, &other), PP_OK);
    CHECK_EQUAL(other.offset, 40 * PP_CHUNK_BYTES);
    /* Freed, they are used again, and repair reaches behind as well. */
    CHECK_EQUAL(pp_arena_release(&of_a, last), PP_OK);
    CHECK_EQUAL(allocated(2 * MIB).offset, last.offset);
    CHECK_EQUAL(pp_arena_repair(&of_a, A), 15);
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

static bool is_poisoned(pp_descriptor block) {
    unsigned char *bytes = pp_arena_bytes(&of_a, block);
    for (uint64_t i = 0; i < block.nbytes; i++)
        if (bytes[i] != PP_POISON) return false;
    return true;
}

static void an_arena_that_poisons_overwrites_what_nobody_has(void) {
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(4 * MIB)), PP_OK);
    CHECK_EQUAL(pp_arena_create_zones(&memory, (pp_zones){4 * MIB, 0, 0}, true), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_a, &memory, A), PP_OK);
    CHECK_EQUAL(pp_arena_open(&of_b, &memory, B), PP_OK);
    uint64_t sizes[] = {300, 2 * MIB};
    for (int i = 0; i < 2; i++) {
        pp_descriptor block = allocated(sizes[i]);
        memset(pp_arena_bytes(&of_a, block), 1, sizes[i]);
        CHECK_EQUAL(pp_arena_publish(&of_a, block, 1), PP_OK);
        CHECK_EQUAL(pp_block_hold(&of_b, block, 1), PP_OK);
        CHECK_EQUAL(pp_arena_release(&of_b, block), PP_OK);
        CHECK(!is_poisoned(block)); /* held */
        CHECK(dropped(block, 1));
        CHECK(is_poisoned(block));
        CHECK_EQUAL(in_use(), 0);
        block = allocated(sizes[i]);
        CHECK_EQUAL(pp_arena_publish(&of_a, block, 1), PP_OK);
        memset(pp_arena_bytes(&of_a, block), 1, sizes[i]);
        CHECK_EQUAL(pp_arena_release(&of_a, block), PP_OK);
        CHECK(is_poisoned(block));
        CHECK_EQUAL(in_use(), 0);
    }
    /* What the dead held. */
    pp_descriptor block = allocated(300);
    CHECK_EQUAL(pp_block_hold(&of_a, block, 0), PP_OK);
    memset(pp_arena_bytes(&of_a, block), 1, 300);
    pp_arena_settle(&of_b, A, 0, true);
    CHECK(is_poisoned(block));
    CHECK_EQUAL(in_use(), 0);
    pp_segment_close(&memory);
}

int main(void) {
    RUN(a_held_block_outlives_what_it_travelled_in);
    RUN(what_is_born_held_can_be_lent_and_lent_on);
    RUN(a_receiver_may_be_quicker_than_its_lender);
    RUN(a_loan_that_is_not_sent_is_returned);
    RUN(who_lends_takes_the_mark_over);
    RUN(what_is_not_there_is_refused);
    RUN(the_block_of_an_address_is_found);
    RUN(all_together_hold_no_more_than_the_limit);
    RUN(a_death_undoes_what_was_not_sent);
    RUN(no_block_is_used_anew_while_it_is_held);
    RUN(the_spare_gives_room_when_everything_else_is_held);
    RUN(large_blocks_have_room_behind_the_common_zone);
    RUN(an_arena_that_poisons_overwrites_what_nobody_has);
    return 0;
}
