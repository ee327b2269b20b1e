/* test_holding_steps.c - a death at every instruction of receiving a block, lending it on, and letting go:
 * once the supervisor has settled, each block has exactly those who are left. */
#include <string.h>

#include "arena_chunks.h"
#include "check.h"
#include "lease.h"
#include "steps.h"
#include "tally.h"

enum { PARENT = 1, CHILD = 2, HOLDER = 1, BLOCK = 1000 };

static pp_segment memory;
static pp_segment notes;

/* What the child's lease and the slots around it say, in shared memory. */
typedef struct {
    pp_lease lease;
    pp_a64 slot; /* 1: the element is published */
    pp_descriptor arrived, born;
} scene;

static scene *the(void) { return (scene *)notes.base; }

static void must(int status) {
    if (status != PP_OK) _exit(3);
}

/* As a worker does: look at what it has in hand, send it on with something new, answer for it. */
static void act(void) {
    scene *s = the();
    pp_arena arena;
    bool freed;
    must(pp_arena_open(&arena, &memory, CHILD));
    must(pp_block_hold(&arena, s->arrived, HOLDER));
    must(pp_arena_allocate(&arena, BLOCK, &s->born));
    must(pp_block_hold(&arena, s->born, HOLDER));

    pp_store_rel(&s->lease.lending, 1);
    must(pp_block_lend(&arena, s->arrived, HOLDER, CHILD));
    must(pp_block_lend(&arena, s->born, HOLDER, CHILD));
    /* Publishing: in ring.c the slot is what says so, and pp_ring_settle brings `out` up to it. */
    pp_store_rel(&s->slot, 1);
    pp_store_rel(&s->lease.out, (uint64_t)1 << PP_OUT_SHIFT);
    must(pp_block_lent(&arena, s->arrived, CHILD));
    must(pp_block_lent(&arena, s->born, CHILD));

    must(pp_block_drop(&arena, s->arrived, HOLDER, &freed));
    must(pp_block_drop(&arena, s->born, HOLDER, &freed));
    pp_lease_decide(&s->lease, PP_EMITTED, 1, 1);
    must(pp_block_leave(&arena, s->arrived, CHILD));
    pp_store_rel(&s->lease.in, 0);
    must(pp_block_return(&arena, s->arrived, CHILD, &freed));
}

static void settle(void) {
    scene *s = the();
    pp_arena arena;
    must(pp_arena_open(&arena, &memory, PARENT));
    if (pp_load_acq(&s->slot)) pp_store_rel(&s->lease.out, (uint64_t)1 << PP_OUT_SHIFT);
    pp_arena_settle(&arena, CHILD, HOLDER, pp_lease_undoes(&s->lease));
    pp_arena_repair(&arena, CHILD);
}

static uint64_t word_at(pp_descriptor block) {
    pp_arena arena;
    uint64_t chunk, index;
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    return pp_block_locate(&arena, block, &chunk, &index) ? pp_load_acq(&pp_words_of(&arena, chunk)[index])
                                                          : 0;
}

static void judge(uint64_t at, tally *sum) {
    scene *s = the();
    bool in_hand = pp_load_acq(&s->lease.in) != 0, sent = pp_load_acq(&s->slot) != 0;
    pp_arena arena;
    uint64_t blocks, expected = (in_hand || sent) + sent;
    uint64_t arrived = word_at(s->arrived);
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    pp_arena_usage(&arena, NULL, &blocks, NULL, NULL);
    sum->points++;
    if (arrived != (uint64_t)in_hand + sent) {
        sum->lost++;
        complain("instruction %llu: the block that arrived has the word %llx, in hand %d, sent %d",
                 (unsigned long long)at, (unsigned long long)arrived, in_hand, sent);
    }
    if (blocks != expected) {
        sum->leaked++;
        complain("instruction %llu: %llu blocks in use, not %llu", (unsigned long long)at,
                 (unsigned long long)blocks, (unsigned long long)expected);
    }
}

static uint64_t watched;
static unsigned char *last_seen;

static bool memory_has_changed(void) {
    size_t half = watched;
    if (memcmp(last_seen, memory.base, half) == 0 && memcmp(last_seen + half, notes.base, sizeof(scene)) == 0)
        return false;
    memcpy(last_seen, memory.base, half);
    memcpy(last_seen + half, notes.base, sizeof(scene));
    return true;
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    print_heading();
    pp_arena arena;
    static path of_child;
    CHECK_EQUAL(pp_segment_create(&memory, pp_arena_segment_bytes(PP_CHUNK_BYTES)), PP_OK);
    CHECK_EQUAL(pp_arena_create(&memory, PP_CHUNK_BYTES), PP_OK);
    CHECK_EQUAL(pp_segment_create(&notes, sizeof(scene)), PP_OK);
    CHECK_EQUAL(pp_arena_open(&arena, &memory, PARENT), PP_OK);
    CHECK_EQUAL(pp_arena_allocate(&arena, BLOCK, &the()->arrived), PP_OK);
    CHECK_EQUAL(pp_arena_publish(&arena, the()->arrived, 1), PP_OK);
    pp_store_rel(&the()->lease.in, 7);

    watched = arena.header->payload_offset;
    last_seen = calloc(2, watched + sizeof(scene));
    CHECK(last_seen != NULL);
    unsigned char *image = last_seen + watched + sizeof(scene);
    memcpy(image, memory.base, watched);
    memcpy(image + watched, notes.base, sizeof(scene));

    walker w = walker_start(act);
    path_record(&of_child, &w, memory_has_changed);
    tally deaths = {0}, repairs = {0};
    uint64_t every = steps_every(5);
    for (uint64_t at = 0; at < of_child.count; at++) {
        if (at % every != 0 && !of_child.changed[at]) continue;
        memcpy(memory.base, image, watched);
        memcpy(notes.base, image + watched, sizeof(scene));
        w = walker_start(act);
        walker_go(&w, &of_child, at);
        walker_kill(&w);
        if (of_child.changed[at]) {
            /* The settler dies as well, wherever it has changed something, and another takes over. */
            walker first = walker_start(settle);
            memory_has_changed();
            for (int changes = 0; changes < 3 && walker_step(&first) == WALKED;)
                changes += memory_has_changed();
            walker_kill(&first);
            repairs.points++;
        }
        settle();
        judge(at, &deaths);
    }
    report("receive, lend, let go", "arena", &deaths);
    report("    its settling", "arena", &repairs);
    return report_total() || total.leaked ? 1 : 0;
}
