/* holding.cpp - the real holding.c under the C11 memory model: a block that processes look at, lend on and give
 * back.
 *
 * A sender lends a block to a worker, which looks at it, lends it on with one of its own, and answers for it; the
 * worker may die at any step, and so may whoever settles.  A receiver takes what was sent, and another
 * participant allocates what they leave.  A block that is free too early, or whose next user does not see that
 * the last one is done, is a data race on it; one that nobody has and that cannot be allocated is found at the
 * end.
 */
#include "arena_memory.h"

#include "lease.c"

enum { THREADS = 4, ROUNDS = 2 };
enum { SENDER = 1, WORKER, RECEIVER, OTHER, NOBODY_ELSE }; /* owners */
enum { OF_SENDER, OF_WORKER }; /* holders */

static bool mortal;

struct passing_on : rl::test_suite<passing_on, THREADS> {
    enum : uint64_t { NONE = 1 }; /* what a slot says when nothing will come; else offset + 2 */
    arena_memory memory;
    alignas(64) unsigned char bytes_of_lease[sizeof(pp_lease)];
    pp_a64 first, second, second_born; /* slots */
    /* The worker has given up its lease, and its mark was not there to say that the block is to be returned. */
    bool leaves_unmarked, leaked;

    pp_lease *lease() { return (pp_lease *)bytes_of_lease; }

    void before() {
        weak::nobody_dies();
        memory.create();
        memory.keep(NOBODY_ELSE);
        new (lease()) pp_lease();
        for (pp_a64 *word :
             {&lease()->in, &lease()->out, &lease()->lending, &lease()->decided, &lease()->puts,
              &lease()->outcome, &lease()->count, &lease()->sent_now, &lease()->element.word,
              &lease()->pack.word, &lease()->outcomes[PP_EMITTED], &first, &second, &second_born})
            pp_store_rlx(word, 0);
        lease()->element.head.set(pp_head());
        leaves_unmarked = leaked = false;
    }

    static void must(int status) { RL_ASSERT(status == PP_OK); }

    static pp_descriptor allocate(pp_arena *arena) {
        pp_descriptor block;
        while (pp_arena_allocate(arena, PP_BLOCK_MIN, &block) != PP_OK) rl::yield(1, $);
        return block;
    }

    static uint64_t wait_for(pp_a64 *slot) {
        uint64_t seen;
        while ((seen = pp_load_acq(slot)) == 0) rl::yield(1, $);
        return seen;
    }

    static pp_descriptor block_of(uint64_t slot) { return {slot - 2, 0}; }

    void send() {
        pp_arena arena = memory.open(SENDER);
        bool freed;
        pp_descriptor block = allocate(&arena);
        must(pp_block_hold(&arena, block, OF_SENDER));
        memory.content_of(block).set(SENDER);
        must(pp_block_lend(&arena, block, OF_SENDER, SENDER));
        if (rl::rand(4) == 0) { /* it could not be sent, and is tried again */
            must(pp_block_return(&arena, block, SENDER, &freed));
            must(pp_block_lend(&arena, block, OF_SENDER, SENDER));
        }
        pp_store_rel(&first, block.offset + 2);
        bool drops_first = rl::rand(2) == 0;
        if (!drops_first) must(pp_block_lent(&arena, block, SENDER));
        RL_ASSERT(memory.content_of(block).get() == SENDER);
        must(pp_block_drop(&arena, block, OF_SENDER, &freed));
        if (drops_first) must(pp_block_lent(&arena, block, SENDER));
    }

    void work(pp_descriptor arrived) {
        pp_arena arena = memory.open(WORKER);
        bool freed;
        must(pp_block_hold(&arena, arrived, OF_WORKER));
        RL_ASSERT(memory.content_of(arrived).get() == SENDER);
        pp_descriptor born = allocate(&arena);
        must(pp_block_hold(&arena, born, OF_WORKER));
        memory.content_of(born).set(WORKER);

        pp_store_rel(&lease()->lending, 1);
        must(pp_block_lend(&arena, arrived, OF_WORKER, WORKER));
        must(pp_block_lend(&arena, born, OF_WORKER, WORKER));
        pp_store_rlx(&second_born, born.offset + 2);
        pp_store_rel(&second, arrived.offset + 2);
        pp_store_rel(&lease()->out, (uint64_t)1 << PP_OUT_SHIFT);
        must(pp_block_lent(&arena, arrived, WORKER));
        must(pp_block_lent(&arena, born, WORKER));

        RL_ASSERT(memory.content_of(arrived).get() == SENDER);
        RL_ASSERT(memory.content_of(born).get() == WORKER);
        must(pp_block_drop(&arena, arrived, OF_WORKER, &freed));
        must(pp_block_drop(&arena, born, OF_WORKER, &freed));
        pp_lease_decide(lease(), PP_EMITTED, 1, 1);
        bool marked = pp_block_leave(&arena, arrived, WORKER) == PP_OK;
        RL_ASSERT(memory.content_of(arrived).get() == SENDER);
        pp_store_rel(&lease()->in, 0);
        leaves_unmarked = !marked;
        if (marked)
            must(pp_block_return(&arena, arrived, WORKER, &freed));
        else
            must(pp_arena_release(&arena, arrived));
        leaves_unmarked = false;
    }

    void settle() {
        pp_arena arena = memory.open(SENDER);
        if (pp_load_acq(&second) != 0) pp_store_rel(&lease()->out, (uint64_t)1 << PP_OUT_SHIFT);
        pp_arena_settle(&arena, WORKER, OF_WORKER, pp_lease_undoes(lease()));
        pp_arena_repair(&arena, WORKER);
    }

    void work_and_die() {
        pp_descriptor arrived = block_of(wait_for(&first));
        pp_store_rel(&lease()->in, 7);
        if (mortal) weak::live_for_at_most(100);
        try {
            work(arrived);
            weak::live_on();
            return;
        } catch (weak::death) {
        }
        leaked = leaves_unmarked;
        weak::live_for_at_most(40);
        try {
            settle();
        } catch (weak::death) {
        }
        weak::live_on();
        settle();
        if (pp_load_acq(&second) == 0) pp_store_rel(&second, NONE);
        /* Whoever takes its place answers for what is in hand. */
        pp_arena arena = memory.open(WORKER);
        if (pp_load_acq(&lease()->in) == 0) return;
        RL_ASSERT(memory.content_of(arrived).get() == SENDER);
        must(pp_arena_release(&arena, arrived));
    }

    void receive() {
        uint64_t seen = wait_for(&second);
        if (seen == NONE) return;
        pp_arena arena = memory.open(RECEIVER);
        pp_descriptor blocks[] = {block_of(seen), block_of(pp_load_rlx(&second_born))};
        for (unsigned i = 0; i < 2; i++) {
            bool freed, marked = pp_block_leave(&arena, blocks[i], RECEIVER) == PP_OK;
            RL_ASSERT(memory.content_of(blocks[i]).get() == (i == 0 ? SENDER : WORKER));
            if (marked)
                must(pp_block_return(&arena, blocks[i], RECEIVER, &freed));
            else
                must(pp_arena_release(&arena, blocks[i]));
        }
    }

    void use() {
        pp_arena arena = memory.open(OTHER);
        for (unsigned round = 0; round < ROUNDS; round++) {
            pp_descriptor block;
            if (pp_arena_allocate(&arena, PP_BLOCK_MIN, &block) != PP_OK) continue;
            memory.content_of(block).set(OTHER);
            must(pp_arena_publish(&arena, block, 1));
            RL_ASSERT(memory.content_of(block).get() == OTHER);
            must(pp_arena_release(&arena, block));
        }
    }

    void thread(unsigned index) {
        switch (index + 1) {
            case SENDER: send(); break;
            case WORKER: work_and_die(); break;
            case RECEIVER: receive(); break;
            case OTHER: use(); break;
        }
    }

    void after() {
        unsigned expected = chunks * WORDS - kept, found = memory.allocatable(NOBODY_ELSE + 1);
        RL_ASSERT(found == expected || (leaked && found + 1 == expected));
        lease()->~pp_lease();
        memory.destroy();
    }
};

/* ---- the last block of a chunk is let go of while others search for one ---- */

enum way { BY_DROP, BY_LENT, BY_RETURN, BY_SETTLE };
static way how;

struct let_go : rl::test_suite<let_go, 3> {
    arena_memory memory;
    pp_descriptor last;

    static void must(int status) { RL_ASSERT(status == PP_OK); }

    void before() {
        weak::nobody_dies();
        memory.create();
        memory.keep(NOBODY_ELSE);
        bool freed;
        pp_arena arena = memory.open(SENDER), another = memory.open(RECEIVER);
        must(pp_arena_allocate(&arena, PP_BLOCK_MIN, &last));
        if (how == BY_RETURN) {
            must(pp_arena_publish(&arena, last, 1));
        } else {
            must(pp_block_hold(&arena, last, OF_SENDER));
        }
        if (how != BY_LENT) return;
        must(pp_block_lend(&arena, last, OF_SENDER, SENDER));
        must(pp_block_drop(&arena, last, OF_SENDER, &freed));
        must(pp_arena_release(&another, last));
    }

    void let_it_go() {
        pp_arena arena = memory.open(SENDER);
        bool freed = true;
        if (how != BY_LENT) (void)memory.content_of(last).get();
        switch (how) {
            case BY_DROP: must(pp_block_drop(&arena, last, OF_SENDER, &freed)); break;
            case BY_LENT: must(pp_block_lent(&arena, last, SENDER)); break;
            case BY_RETURN:
                must(pp_block_leave(&arena, last, SENDER));
                must(pp_block_return(&arena, last, SENDER, &freed));
                break;
            /* Without the repair that follows, which would find most of what is lost here. */
            case BY_SETTLE: pp_arena_settle(&arena, SENDER, OF_SENDER, true); break;
        }
        RL_ASSERT(freed);
    }

    void search(uint16_t owner) {
        pp_arena arena = memory.open(owner);
        pp_descriptor block;
        if (pp_arena_allocate(&arena, PP_BLOCK_MIN, &block) != PP_OK) return;
        memory.content_of(block).set(owner);
        must(pp_arena_release(&arena, block));
    }

    void thread(unsigned index) {
        if (index == 0)
            let_it_go();
        else
            search(index + 1);
    }

    void after() {
        RL_ASSERT(memory.allocatable(NOBODY_ELSE + 1) == 1);
        memory.destroy();
    }
};

/* ---- what all hold together stays below a limit ---- */

struct limited : rl::test_suite<limited, 3> {
    enum { EACH = 2, LIMIT = 3 };
    arena_memory memory;
    unsigned held;

    void before() {
        weak::nobody_dies();
        memory.create();
        held = 0;
    }

    void thread(unsigned index) {
        pp_arena arena = memory.open(index + 1);
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (!pp_arena_may_hold(&arena, index, EACH, LIMIT)) continue;
            held += EACH;
            rl::yield(1, $);
            RL_ASSERT(held <= LIMIT);
            held -= EACH;
            pp_arena_unhold(&arena, index, EACH);
        }
    }

    void after() {
        pp_arena arena = memory.open(1);
        RL_ASSERT(!pp_arena_is_held(&arena));
        memory.destroy();
    }
};

static int check(const char *name, unsigned used, bool dying, unsigned long schedules) {
    kept = used;
    mortal = dying;
    return weak::check<passing_on>(name, schedules);
}

static int check_let_go(const char *name, way chosen, unsigned long schedules) {
    kept = WORDS - 1;
    how = chosen;
    return weak::check<let_go>(name, schedules);
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    chunks = 1;
    return check("a block that is passed on", 1, false, schedules) ||
           check("a block that is passed on, with no room to spare", WORDS - 2, false, schedules) ||
           check("a block that is passed on by a worker that dies", WORDS - 2, true, schedules) ||
           check_let_go("the last block, dropped", BY_DROP, schedules) ||
           check_let_go("the last block, lent and gone", BY_LENT, schedules) ||
           check_let_go("the last block, returned", BY_RETURN, schedules) ||
           check_let_go("the last block, its holder dead", BY_SETTLE, schedules) ||
           weak::check<limited>("what may be held", schedules);
}
