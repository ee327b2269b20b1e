/* arena.cpp - the real arena under the C11 memory model: blocks as memory that is handed on, and the hints by which
 * a block that was freed is found again.
 *
 * Two accesses to a block without order between them are a data race.  A block that is free and cannot be allocated
 * is found at the end.
 */
#include "arena_memory.h"

enum { THREADS = 3, ROUNDS = 2 };

static bool mortal;

/* ---- the same blocks for several participants, one of which may die ---- */

struct sharing : rl::test_suite<sharing, THREADS> {
    arena_memory memory;
    pp_a32 leaked;

    void before() {
        weak::nobody_dies();
        memory.create();
        pp_store_rlx(&leaked, 0);
        memory.keep(THREADS + 1);
    }

    /* `travelling` is the block while its word does not name us. */
    void use(pp_arena *arena, bool *travelling) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            pp_descriptor block;
            if (pp_arena_allocate(arena, PP_BLOCK_MIN, &block) != PP_OK) continue;
            memory.content_of(block).set(arena->owner);
            *travelling = true;
            RL_ASSERT(pp_arena_publish(arena, block, 1) == PP_OK);
            RL_ASSERT(pp_arena_bytes(arena, block) != NULL);
            RL_ASSERT(memory.content_of(block).get() == arena->owner);
            RL_ASSERT(pp_arena_release(arena, block) == PP_OK);
            *travelling = false;
        }
    }

    void thread(unsigned index) {
        pp_arena arena = memory.open(index + 1);
        bool travelling = false;
        if (!mortal || index != 0) {
            use(&arena, &travelling);
            return;
        }
        weak::live_for_at_most(60);
        try {
            use(&arena, &travelling);
        } catch (weak::death) {
            if (travelling) pp_store_seq(&leaked, 1);
        }
        weak::live_for_at_most(20);
        try {
            pp_arena_repair(&arena, 1);
        } catch (weak::death) {
        }
        weak::live_on();
        pp_arena_repair(&arena, 1);
    }

    void after() {
        unsigned expected = chunks * WORDS - kept, found = memory.allocatable(THREADS + 2);
        RL_ASSERT(found == expected || (pp_load_seq(&leaked) && found + 1 == expected));
        memory.destroy();
    }
};

/* ---- a block that one participant writes and another reads and releases ---- */

struct passing : rl::test_suite<passing, 2> {
    enum { ELEMENTS = 4 };
    arena_memory memory;
    pp_a64
        sent; /* 1 + which block; the descriptor travels in it relaxed, so that only the block word orders */

    void before() {
        weak::nobody_dies();
        memory.create();
        pp_store_rlx(&sent, 0);
    }

    void thread(unsigned index) {
        pp_arena arena = memory.open(index + 1);
        for (unsigned i = 0; i < ELEMENTS; i++) {
            pp_descriptor block = {0, PP_BLOCK_MIN};
            if (index == 0) {
                RL_ASSERT(pp_arena_allocate(&arena, PP_BLOCK_MIN, &block) == PP_OK);
                memory.content_of(block).set(i);
                RL_ASSERT(pp_arena_publish(&arena, block, 1) == PP_OK);
                while (pp_load_rlx(&sent) != 0) rl::yield(1, $);
                pp_store_rel(&sent, 1 + block.offset);
            } else {
                uint64_t seen;
                while ((seen = pp_load_acq(&sent)) == 0) rl::yield(1, $);
                block.offset = seen - 1;
                RL_ASSERT(pp_arena_bytes(&arena, block) != NULL);
                RL_ASSERT(memory.content_of(block).get() == i);
                RL_ASSERT(pp_arena_release(&arena, block) == PP_OK);
                /* Relaxed: that the block is free is what its word says. */
                pp_store_rlx(&sent, 0);
            }
        }
    }

    void after() {
        RL_ASSERT(memory.allocatable(3) == chunks * WORDS);
        memory.destroy();
    }
};

/* ---- runs of whole chunks against blocks: cutting, claiming and reclaiming ---- */

struct cutting : rl::test_suite<cutting, 2> {
    arena_memory memory;

    void before() {
        weak::nobody_dies();
        memory.create();
    }

    void thread(unsigned index) {
        pp_arena arena = memory.open(index + 1);
        for (unsigned round = 0; round < ROUNDS; round++) {
            pp_descriptor block;
            uint64_t nbytes = index == 0   ? chunks * PP_CHUNK_BYTES
                              : round == 0 ? PP_BLOCK_MIN
                                           : 2 * PP_BLOCK_MIN;
            if (pp_arena_allocate(&arena, nbytes, &block) != PP_OK) continue;
            uint64_t first = block.offset / PP_BLOCK_MIN, end = first + nbytes / PP_BLOCK_MIN;
            for (uint64_t i = first; i < end; i++) memory.content[i].set(index);
            for (uint64_t i = first; i < end; i++) RL_ASSERT(memory.content[i].get() == index);
            RL_ASSERT(pp_arena_publish(&arena, block, 1) == PP_OK);
            RL_ASSERT(pp_arena_release(&arena, block) == PP_OK);
        }
    }

    void after() {
        RL_ASSERT(memory.allocatable(3) == chunks * WORDS);
        memory.destroy();
    }
};

template <typename SUITE>
static int check(const char *name, unsigned count, unsigned used, bool dying, unsigned long schedules) {
    chunks = count;
    kept = used;
    mortal = dying;
    return weak::check<SUITE>(name, schedules);
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    return check<sharing>("blocks of one chunk", 1, 1, false, schedules) ||
           check<sharing>("the last block of a chunk", 1, WORDS - 1, false, schedules) ||
           check<sharing>("blocks of one chunk, a participant that dies", 1, 1, true, schedules) ||
           check<sharing>("the last blocks, a participant that dies", 1, WORDS - 2, true, schedules) ||
           check<passing>("blocks that are handed on", 1, 0, false, schedules) ||
           check<cutting>("runs and blocks", 1, 0, false, schedules) ||
           check<cutting>("longer runs and blocks", 2, 0, false, schedules);
}
