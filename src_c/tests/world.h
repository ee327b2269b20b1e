/* world.h - a worker between two rings, with its lease and an arena, that dies; and who looks after it.
 *
 * The one that dies takes elements from `in` through its lease, or without one, and puts them into
 * `out`.  The survivor laid all this out, repairs it, and then accounts for every element.  A rival uses
 * the same rings at the same time.  Each has ports and an arena handle of its own, opened before the fork.
 */
#ifndef PP_TESTS_WORLD_H
#define PP_TESTS_WORLD_H

#include <string.h>

#include "arena_chunks.h"
#include "ring.h"
#include "tally.h"

enum { SURVIVOR = 1, DEAD = 2, RIVAL = 3, ACTORS = 4 };
/* Elements have numbers: those that were there, that which the dead puts, those of the rival, and what
 * the survivor uses to see whether everything still works. */
enum { OF_DEAD = 20, OF_RIVAL = 30, OF_SURVIVOR = 50, MOST_ELEMENTS = 64 };
enum { MOST_CAPACITY = 8, RING_BYTES = 2048 };
/* How many elements the one that dies may have ended. */
enum { MOST_WORK = 2 };

/* One chunk of sixteen blocks: repair then walks few words. */
#define BLOCK_BYTES (PP_CHUNK_BYTES / 16)

typedef struct {
    pp_lease lease;
    unsigned char in[RING_BYTES];
    unsigned char out[RING_BYTES];
    pp_a32 outcome; /* what the last call of the one that dies has returned */
    pp_a32 popped;  /* number + 1 of the element that it took without its lease */
} world;

typedef struct {
    pp_port in, out;
    pp_arena arena;
} actor;

/* How a ring is before anything happens. */
typedef struct {
    const char *name;
    uint32_t capacity;
    uint32_t laps; /* elements that have gone through it, so that positions are not those of a fresh ring */
    uint32_t filled; /* elements that it holds */
    bool spilling; /* what it holds is in blocks, and so is what is put */
    bool hole; /* the first position is one whose producer died */
    bool stale_hints; /* who claimed last died before it moved the hints */
    bool several; /* its slots hold several elements: those that it is filled with share one */
    bool sole; /* it has one consumer, whose lease takes all that is in a slot */
    uint32_t begun; /* so many of them have been taken by the survivor */
} queue_state;

static pp_segment world_memory, arena_memory;
static actor actors[ACTORS];
/* Where the elements that somebody took in between went. */
static unsigned taken_aside[MOST_ELEMENTS];

#define WORLD ((world *)world_memory.base)

/* ---- the memory of it all ---- */

enum { BLOCKS = PP_CHUNK_BYTES / BLOCK_BYTES };

typedef struct {
    world world;
    pp_chunk chunk;
    pp_a64 words[BLOCKS];
    uint64_t contents[BLOCKS][2]; /* of each block, what elements fill of it */
} memory_image;

static inline uint64_t *contents_of(uint64_t block) {
    return pp_arena_bytes(&actors[SURVIVOR].arena, (pp_descriptor){block * BLOCK_BYTES, 1});
}

static inline void save_memory(memory_image *image) {
    const pp_arena *arena = &actors[SURVIVOR].arena;
    memcpy(&image->world, WORLD, sizeof image->world);
    memcpy(&image->chunk, pp_chunk_at(arena, 0), sizeof image->chunk);
    if (pp_load_acq(&image->chunk.reserved_words) == 0) return; /* no block was ever used */
    memcpy(image->words, pp_words_of(arena, 0), sizeof image->words);
    for (uint64_t i = 0; i < BLOCKS; i++)
        if (contents_of(i) != NULL) memcpy(image->contents[i], contents_of(i), sizeof *image->contents);
}

static inline void restore_memory(const memory_image *image) {
    const pp_arena *arena = &actors[SURVIVOR].arena;
    memcpy(WORLD, &image->world, sizeof image->world);
    memcpy(pp_chunk_at(arena, 0), &image->chunk, sizeof image->chunk);
    if (pp_load_acq(&image->chunk.reserved_words) == 0) return;
    memcpy(pp_words_of(arena, 0), image->words, sizeof image->words);
    for (uint64_t i = 0; i < BLOCKS; i++)
        if (contents_of(i) != NULL) memcpy(contents_of(i), image->contents[i], sizeof *image->contents);
}

/* Of what is shared, what decides: not the contents of blocks. */
static inline bool memory_has_changed(void) {
    static memory_image last;
    const pp_arena *arena = &actors[SURVIVOR].arena;
    bool same = memcmp(&last.world, WORLD, sizeof last.world) == 0 &&
                memcmp(&last.chunk, pp_chunk_at(arena, 0), sizeof last.chunk) == 0 &&
                (pp_load_acq(&last.chunk.reserved_words) == 0 ||
                 memcmp(last.words, pp_words_of(arena, 0), sizeof last.words) == 0);
    if (!same) save_memory(&last);
    return !same;
}

/* ---- what the actors do ---- */

enum { INLINE_BYTES = 8 };

static inline pp_head inline_head(uint64_t element) {
    return (pp_head){.kind = PP_INLINE, .depth = 1, .nbytes = INLINE_BYTES, .index0 = element};
}

static inline void fill_inline(pp_slot *slot, uint64_t element) {
    uint64_t payload = ~element;
    slot->head = inline_head(element);
    memcpy(slot->body.bytes, &payload, INLINE_BYTES);
}

static inline int write_block(actor *who, uint64_t element, pp_descriptor *block) {
    int status = pp_arena_allocate(&who->arena, BLOCK_BYTES, block);
    if (status != PP_OK) return status;
    uint64_t *words = pp_arena_bytes(&who->arena, *block);
    words[0] = element;
    words[1] = ~element;
    return PP_OK;
}

/* Put an element as the ports of the package do: block, claim, slot, publish the one and then the other. */
static inline int put(actor *who, pp_port *port, uint64_t element, bool spilling, pp_lease *lease) {
    pp_descriptor block = {0, 0};
    pp_slot *slot;
    if (!spilling) {
        uint64_t payload = ~element;
        pp_head head = inline_head(element);
        return pp_push_small(port, &head, head.kind, &payload, INLINE_BYTES, lease, 0);
    }
    int status = write_block(who, element, &block);
    if (status != PP_OK) return status;
    status = pp_push_claim(port, &slot);
    if (status != PP_OK) {
        pp_arena_release(&who->arena, block);
        return status;
    }
    slot->head = (pp_head){.kind = PP_BLOCK, .depth = 1, .index0 = element};
    slot->body.block = block;
    pp_arena_publish(&who->arena, block, 1);
    pp_tip_begin(&port->tip, &slot->head, 0);
    pp_push_publish(port, slot, lease, 0);
    return PP_OK;
}

/* The number of one of the elements in a slot; MOST_ELEMENTS when it is torn. */
static inline uint64_t read_slot(const actor *who, const pp_slot *slot, uint32_t part) {
    uint64_t element = slot->head.index0 + part;
    if (element >= MOST_ELEMENTS) return MOST_ELEMENTS;
    if (slot->head.kind == PP_INLINE) {
        uint32_t nbytes;
        uint64_t payload;
        const unsigned char *at = pp_part(&slot->head, slot->body.bytes, part, &nbytes);
        if (at == NULL || nbytes != INLINE_BYTES) return MOST_ELEMENTS;
        memcpy(&payload, at, INLINE_BYTES);
        return payload == ~element ? element : MOST_ELEMENTS;
    }
    const uint64_t *words = pp_arena_bytes(&who->arena, slot->body.block);
    if (slot->head.kind != PP_BLOCK || words == NULL) return MOST_ELEMENTS;
    return words[0] == element && words[1] == ~element ? element : MOST_ELEMENTS;
}

/* Take without a lease, as the threads of the parent do. */
static inline int take(actor *who, pp_port *port, uint64_t *element) {
    pp_slot *slot;
    int status = pp_pop_claim(port, &slot);
    if (status != PP_OK) return status;
    *element = read_slot(who, slot, port->part);
    bool spilled = slot->head.kind == PP_BLOCK;
    pp_descriptor block = slot->body.block;
    pp_pop_free(port, slot);
    if (spilled && pp_arena_release(&who->arena, block) != PP_OK) *element = MOST_ELEMENTS;
    return PP_OK;
}

/* Answer for the element in the lease. */
static inline void answer(actor *who, pp_lease *lease) {
    pp_store_rel(&lease->in, 0);
    if (lease->element.head.kind == PP_BLOCK) pp_arena_release(&who->arena, lease->element.body.block);
}

/* ---- before ---- */

static inline void open_actors(void) {
    for (uint32_t i = SURVIVOR; i < ACTORS; i++) {
        CHECK_EQUAL(pp_port_open(&actors[i].in, (pp_ring *)WORLD->in, RING_BYTES, i, i - 1), PP_OK);
        CHECK_EQUAL(pp_port_open(&actors[i].out, (pp_ring *)WORLD->out, RING_BYTES, i, i - 1), PP_OK);
        CHECK_EQUAL(pp_arena_open(&actors[i].arena, &arena_memory, (uint16_t)i), PP_OK);
    }
}

/* `port` is the survivor's, of the ring to prepare; its elements are numbered from `first`. */
static inline void fill_ring(pp_port *port, const queue_state *state, uint64_t first) {
    actor *who = &actors[SURVIVOR];
    uint64_t element;
    pp_slot *slot;
    for (uint32_t i = 0; i < state->laps; i++) {
        CHECK_EQUAL(put(who, port, OF_SURVIVOR, state->spilling, NULL), PP_OK);
        CHECK(take(who, port, &element) == PP_OK && element == OF_SURVIVOR);
    }
    if (state->hole) {
        CHECK_EQUAL(pp_push_claim(port, &slot), PP_OK);
        pp_push_cancel(port, slot);
    }
    for (uint32_t i = 0; i < state->filled; i++)
        CHECK_EQUAL(put(who, port, first + i, state->spilling, NULL), PP_OK);
    for (uint32_t i = 0; i < state->begun; i++) {
        CHECK(take(who, port, &element) == PP_OK && element == first + i);
        taken_aside[element]++;
    }
    if (state->stale_hints) {
        CHECK(state->laps > 0);
        pp_store_rel(&port->ring->tail, pp_load_acq(&port->ring->tail) - 1);
        pp_store_rel(&port->ring->head, pp_load_acq(&port->ring->head) - 1);
    }
}

/* Free every block, whoever has it: a world before may have leaked one. */
static inline void clear_arena(void) {
    pp_arena arena;
    CHECK_EQUAL(pp_arena_open(&arena, &arena_memory, SURVIVOR), PP_OK);
    pp_chunk *chunk = pp_chunk_at(&arena, 0);
    uint64_t words = pp_load_acq(&chunk->reserved_words);
    for (uint64_t i = 0; i < words; i++) pp_store_rel(&pp_words_of(&arena, 0)[i], 0);
    pp_store_rel(&chunk->word, PP_CHUNK_UNUSED);
    pp_store_rel(&chunk->freed, 0);
}

/* A world anew. Elements of `in` have the numbers from 0 on, those of `out` from 10 on. */
static inline void make_world(const queue_state *in, const queue_state *out) {
    if (world_memory.base == NULL) {
        CHECK_EQUAL(pp_segment_create(&world_memory, sizeof(world)), PP_OK);
        CHECK_EQUAL(pp_segment_create(&arena_memory, pp_arena_segment_bytes(PP_CHUNK_BYTES)), PP_OK);
        CHECK_EQUAL(pp_arena_create(&arena_memory, PP_CHUNK_BYTES), PP_OK);
    }
    CHECK(in->capacity <= MOST_CAPACITY && out->capacity <= MOST_CAPACITY);
    CHECK(pp_ring_bytes(MOST_CAPACITY, ACTORS - 1) <= RING_BYTES);
    memset(WORLD, 0, sizeof(world));
    clear_arena();
    pp_ring_create((pp_ring *)WORLD->in, in->capacity, ACTORS - 1, true);
    pp_ring_create((pp_ring *)WORLD->out, out->capacity, ACTORS - 1, true);
    if (in->several) pp_ring_allow_several((pp_ring *)WORLD->in, in->sole);
    if (out->several) pp_ring_allow_several((pp_ring *)WORLD->out, out->sole);
    open_actors();
    memset(taken_aside, 0, sizeof taken_aside);
    fill_ring(&actors[SURVIVOR].in, in, 0);
    fill_ring(&actors[SURVIVOR].out, out, 10);
    /* Those that die have allocated before: their hint is warm, as in the middle of a stream. */
    if (in->spilling || out->spilling) {
        for (uint32_t i = DEAD; i < ACTORS; i++) {
            pp_descriptor block;
            CHECK_EQUAL(write_block(&actors[i], 0, &block), PP_OK);
            CHECK_EQUAL(pp_arena_release(&actors[i].arena, block), PP_OK);
        }
    }
}

/* ---- after ---- */

/* What the supervisor does when a worker is proven dead, in its order. */
static inline void repair(void) {
    pp_ring_settle((pp_ring *)WORLD->out, &WORLD->lease, DEAD);
    pp_ring_mend((pp_ring *)WORLD->out, &WORLD->lease, DEAD);
    pp_arena_repair(&actors[SURVIVOR].arena, DEAD);
    pp_ring_mend((pp_ring *)WORLD->in, &WORLD->lease, DEAD);
    pp_arena_repair(&actors[SURVIVOR].arena, DEAD);
    pp_lease_settle(&WORLD->lease);
}

static inline void stuck(tally *t, const char *what) {
    t->stuck = 1;
    complain("stuck: %s", what);
}

static inline void drain(pp_port *port, unsigned *seen, tally *t) {
    uint64_t element;
    for (unsigned i = 0; take(&actors[SURVIVOR], port, &element) == PP_OK; i++) {
        if (element == MOST_ELEMENTS) {
            t->lost++;
            complain("lost: what came was torn");
        } else {
            seen[element]++;
        }
        if (i > MOST_ELEMENTS) return stuck(t, "elements without end");
    }
}

/* A ring that is empty takes exactly its capacity and gives it back in order, again and again. */
static inline void turn(pp_port *port, bool spilling, tally *t) {
    actor *who = &actors[SURVIVOR];
    uint64_t element;
    /* Those whose numbers do not follow one another do not share a slot. */
    const uint32_t apart = port->several ? 2 : 1;
    for (unsigned lap = 0; lap < 2; lap++) {
        for (uint32_t i = 0; i < port->capacity; i++)
            if (put(who, port, OF_SURVIVOR + i * apart, spilling, NULL) != PP_OK) return stuck(t, "no room");
        if (put(who, port, OF_SURVIVOR, false, NULL) != PP_FULL) return stuck(t, "more room than it has");
        for (uint32_t i = 0; i < port->capacity; i++)
            if (take(who, port, &element) != PP_OK || element != OF_SURVIVOR + i * apart)
                return stuck(t, "what was put does not come");
        if (take(who, port, &element) != PP_EMPTY) return stuck(t, "more came than was put");
    }
}

static inline void end(pp_port *port, tally *t) {
    uint64_t element;
    for (uint32_t i = 0; i < ACTORS - 1; i++) pp_ring_close_for(port->ring, i);
    if (take(&actors[SURVIVOR], port, &element) != PP_CLOSED) stuck(t, "it does not close");
}

/* What must be found afterwards. */
typedef struct {
    unsigned least[MOST_ELEMENTS], most[MOST_ELEMENTS]; /* how often each element may be there */
    unsigned may_vanish; /* elements that the dead may have taken with it, because it took without a lease */
} expectation;

static inline void expect(expectation *e, uint64_t first, uint64_t count, unsigned least) {
    for (uint64_t i = first; i < first + count; i++) {
        e->least[i] = least;
        e->most[i] = 1;
    }
}

/* What came with the element in hand will be taken by the replacement, one by one. */
static inline void account_for_rest(pp_lease *lease, unsigned *seen, tally *t) {
    pp_port *port = &actors[SURVIVOR].in;
    for (;;) {
        uint64_t rest = pp_load_acq(&lease->rest);
        if ((rest >> PP_PART_BITS & PP_PART_MASK) >= (rest & PP_PART_MASK)) return;
        if (pp_pop_lease(port, lease) != PP_OK) return stuck(t, "the rest of a slot does not come");
        uint64_t element = read_slot(&actors[SURVIVOR], &lease->element, 0);
        if (element == MOST_ELEMENTS) {
            t->lost++;
            complain("lost: the rest of a slot is torn");
        } else {
            seen[element]++;
        }
        answer(&actors[SURVIVOR], lease);
    }
}

/* What the lease says is so, for the replacement acts on it. */
static inline void account_for_lease(pp_lease *lease, uint64_t emitted, unsigned *seen, tally *t) {
    actor *who = &actors[SURVIVOR];
    bool undecided = pp_lease_undecided(lease);
    uint64_t ended = 0;
    for (int i = 0; i < PP_OUTCOMES; i++) ended += pp_load_acq(&lease->outcomes[i]);
    if (pp_load_acq(&lease->taken) != ended + undecided || ended > MOST_WORK ||
        pp_load_acq(&lease->sent) != pp_load_acq(&lease->outcomes[PP_EMITTED]))
        stuck(t, "the counters are wrong");
    if (pp_load_acq(&lease->in) == 0) return;
    uint64_t element = read_slot(who, &lease->element, 0);
    if (element == MOST_ELEMENTS) {
        t->lost++;
        complain("lost: the lease holds a torn element");
    } else if (emitted == 0 && undecided) {
        seen[element]++; /* it will be executed again */
    } else if (seen[element] == 0) {
        t->lost++;
        complain("lost: element %llu is said to be emitted", (unsigned long long)element);
    }
    answer(who, lease);
}

/* After repair: every element where it should be, nothing held, and both rings as good as new. */
static inline void account(const expectation *expected, bool spilling, tally *t) {
    actor *who = &actors[SURVIVOR];
    pp_lease *lease = &WORLD->lease;
    unsigned seen[MOST_ELEMENTS];
    memcpy(seen, taken_aside, sizeof seen);
    drain(&who->out, seen, t);
    uint64_t emitted = pp_load_acq(&lease->out);
    if ((emitted & PP_OUT_MASK) != 0) stuck(t, "the lease was not settled");
    emitted >>= PP_OUT_SHIFT;
    account_for_lease(lease, emitted, seen, t);
    account_for_rest(lease, seen, t);
    drain(&who->in, seen, t);
    unsigned may_vanish = expected->may_vanish;
    for (uint64_t i = 0; i < MOST_ELEMENTS; i++) {
        if (seen[i] < expected->least[i] && may_vanish > 0) {
            may_vanish--;
        } else if (seen[i] < expected->least[i]) {
            t->lost += expected->least[i] - seen[i];
            complain("lost: element %llu", (unsigned long long)i);
        }
        if (seen[i] > expected->most[i]) {
            t->doubled += seen[i] - expected->most[i];
            complain("doubled: element %llu", (unsigned long long)i);
        }
    }
    pp_arena_usage(&who->arena, NULL, &t->leaked, NULL, NULL);
    turn(&who->out, spilling, t);
    turn(&who->in, spilling, t);
    end(&who->out, t);
    end(&who->in, t);
}

#endif
