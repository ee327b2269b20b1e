/* fuzz_memory.c - a ring, a lease, a window and an arena under hands that go on while their memory is damaged.
 *
 * LLVMFuzzerTestOneInput, for libFuzzer or for driver.c.  An input is a program: each step is four bytes,
 * what to do and three arguments.  A step uses the core as workers and supervisors do, or writes a word
 * that nobody of them writes.
 *
 * Each part lies in an allocation of its own and exactly its size, so that AddressSanitizer sees the first
 * byte beyond it.  Every answer of the core is used as far as it reaches: what a block or a slot is said
 * to have is read and written.  An endless loop is noticed by the driver's alarm.
 */
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena_chunks.h"
#include "ring.h"
#include "window.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAPACITY = 5, PRODUCERS = 2, WORKERS = 2, CHUNKS = 4, BLOCKS_KEPT = 8 };

#define MUST(condition)                                                               \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

typedef struct {
    pp_port in, out;
    pp_arena arena;
    pp_lease *lease;
    pp_slot *writing, *reading; /* claimed, and not yet published or freed */
    pp_descriptor blocks[BLOCKS_KEPT]; /* what it has, or had, or what garbage says */
} hand;

static pp_ring *ring;
static uint64_t ring_nbytes;
static pp_window *window;
static pp_segment segment;
static uint64_t chunks_nbytes, words_nbytes; /* of the arena's header and chunk table; of its block words */
static hand hands[WORKERS];
static bool memory_is_short, is_damaged;
/* Nothing is damaged by this input: whatever it does, no answer may be that something was. */
static bool is_spared;

/* Memory that is sound is never called anything else. */
static int sound(int status) {
    MUST(status != PP_CORRUPT || is_damaged);
    return status;
}

/* In place of segment_<system>.c: memory that is there, and nothing beyond it may be asked for. */
int pp_segment_reserve(pp_segment *asked, uint64_t offset, uint64_t nbytes) {
    MUST(asked == &segment && offset <= segment.nbytes && nbytes <= segment.nbytes - offset);
    return memory_is_short ? PP_NOMEM : PP_OK;
}

static void *exactly(uint64_t nbytes) {
    void *memory;
    MUST(posix_memalign(&memory, PP_FAR, nbytes) == 0);
    return memory;
}

static void open_hand(unsigned which) {
    hand *h = &hands[which];
    /* Damaged headers are refused; then it goes on with what it opened before, as a worker does. */
    pp_port port;
    pp_arena arena;
    if (sound(pp_port_open(&port, ring, ring_nbytes, which + 1, which % PRODUCERS)) == PP_OK)
        h->in = h->out = port;
    if (sound(pp_arena_open(&arena, &segment, (uint16_t)(which + 1))) == PP_OK) h->arena = arena;
}

static uint64_t *words_of_arena(void) { return (uint64_t *)(segment.base + hands[0].arena.words_offset); }

/* The parts of an arena begin on boundaries: nobody has business in what lies between them. */
static void guard_gaps(void) {
    const pp_arena *arena = &hands[0].arena;
    uint64_t words_end = arena->words_offset + words_nbytes;
    ASAN_POISON_MEMORY_REGION(segment.base + chunks_nbytes, arena->words_offset - chunks_nbytes);
    ASAN_POISON_MEMORY_REGION(segment.base + words_end, arena->payload_offset - words_end);
}

static void make_world(void) {
    static bool made;
    if (!made) {
        made = true;
        ring_nbytes = pp_ring_bytes(CAPACITY, PRODUCERS);
        ring = exactly(ring_nbytes);
        window = exactly(sizeof *window);
        segment.nbytes = pp_arena_segment_bytes(CHUNKS * PP_CHUNK_BYTES);
        segment.base = exactly(segment.nbytes);
        memset(segment.base, 0, segment.nbytes);
        segment.fd = -1;
        chunks_nbytes = sizeof(pp_arena_header) + CHUNKS * sizeof(pp_chunk);
        words_nbytes = CHUNKS * PP_WORDS_MAX * sizeof(pp_a64);
        for (unsigned i = 0; i < WORKERS; i++) hands[i].lease = exactly(sizeof(pp_lease));
    }
    memory_is_short = is_damaged = false;
    memset((void *)ring, 0, ring_nbytes);
    memset((void *)window, 0, sizeof *window);
    memset(segment.base, 0, chunks_nbytes);
    if (hands[0].arena.words_offset != 0) memset(words_of_arena(), 0, words_nbytes);
    pp_ring_create(ring, CAPACITY, PRODUCERS, false);
    window->span = 3;
    MUST(pp_arena_create(&segment, CHUNKS * PP_CHUNK_BYTES) == PP_OK);
    for (unsigned i = 0; i < WORKERS; i++) {
        pp_lease *lease = hands[i].lease;
        memset(&hands[i], 0, sizeof hands[i]);
        memset((void *)lease, 0, sizeof *lease);
        hands[i].lease = lease;
        open_hand(i);
    }
    guard_gaps();
}

/* ---- what is damaged ---- */

static uint64_t garbage(uint8_t which, uint64_t before) {
    static const uint64_t words[] = {0,
                                     1,
                                     2,
                                     7,
                                     12,
                                     13,
                                     0xffff,
                                     0x10000,
                                     0x20000,
                                     1ull << 31,
                                     1ull << 32,
                                     1ull << 32 | 1,
                                     1ull << 32 | 3,
                                     1ull << 32 | 4,
                                     1ull << 32 | 5,
                                     2ull << 32,
                                     3ull << 32 | 1,
                                     1ull << 48,
                                     1ull << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 1};
    enum { WORDS = sizeof words / sizeof *words };
    if (which < WORDS) return words[which];
    if (which < 64) return before + which - 42; /* a little less, a little more */
    if (which < 128) return before ^ (uint64_t)1 << (which - 64);
    return (uint64_t)(which - 128) * 0x9e3779b97f4a7c15u;
}

static void damage(void *memory, uint64_t nbytes, uint16_t where, uint8_t which) {
    if (is_spared) return;
    uint64_t *word = (uint64_t *)memory + where % (nbytes / 8);
    *word = garbage(which, *word);
    is_damaged = true;
}

/* Where damage to an arena matters: its header, the chunks' words, the first words of each chunk. */
static void damage_arena(uint16_t where, uint8_t which) {
    if (where & 1) {
        damage(segment.base, chunks_nbytes, where >> 1, which);
    } else {
        uint64_t *words = words_of_arena() + (where >> 1) % CHUNKS * PP_WORDS_MAX;
        damage(words, (where & 8 ? PP_WORDS_MAX : 16) * 8, where >> 3, which);
    }
}

/* ---- what is done ---- */

/* Believe what is said of a block. */
static void use_block(const hand *h, pp_descriptor block) {
    unsigned char *bytes = pp_arena_bytes(&h->arena, block);
    if (bytes == NULL) return;
    MUST(bytes >= segment.base + h->arena.payload_offset && block.nbytes <= CHUNKS * PP_CHUNK_BYTES);
    if (block.nbytes == 0) return;
    bytes[0] = 1;
    bytes[block.nbytes - 1] = 2;
}

static void use_slot(const hand *h, const pp_slot *slot) {
    if (slot->head.kind == PP_BLOCK) use_block(h, slot->body.block);
}

static void put(hand *h, uint8_t how, bool leased) {
    pp_slot *slot;
    if (h->writing != NULL) return;
    if (sound(pp_push_claim(&h->out, &slot)) != PP_OK) return;
    MUST(slot >= h->out.slots && slot < h->out.slots + CAPACITY);
    if (how & 0x80) {
        pp_push_cancel(&h->out, slot);
        return;
    }
    slot->head = (pp_head){.depth = 1, .kind = PP_INLINE, .nbytes = 8, .index0 = how};
    pp_descriptor block = h->blocks[how % BLOCKS_KEPT];
    if (how & 0x40 && pp_arena_publish(&h->arena, block, 1) == PP_OK) {
        slot->head.kind = PP_BLOCK;
        slot->body.block = block;
    }
    pp_push_publish(&h->out, slot, leased ? h->lease : NULL, 0);
}

static void take(hand *h) {
    pp_slot *slot;
    if (h->reading != NULL) return;
    if (sound(pp_pop_claim(&h->in, &slot)) != PP_OK) return;
    MUST(slot >= h->in.slots && slot < h->in.slots + CAPACITY);
    use_slot(h, slot);
    if (slot->head.kind == PP_BLOCK) pp_arena_release(&h->arena, slot->body.block);
    pp_pop_free(&h->in, slot);
}

/* Begin, and be overtaken by others or by death. */
static void begin_or_finish(hand *h, uint8_t which) {
    if (which & 1 && h->writing == NULL) {
        if (sound(pp_push_claim(&h->out, &h->writing)) != PP_OK) h->writing = NULL;
    } else if (which & 1) {
        h->writing->head = (pp_head){.depth = 1, .kind = PP_INLINE, .nbytes = 8};
        pp_push_publish(&h->out, h->writing, NULL, 0);
        h->writing = NULL;
    } else if (h->reading == NULL) {
        if (sound(pp_pop_claim(&h->in, &h->reading)) != PP_OK) h->reading = NULL;
    } else {
        use_slot(h, h->reading);
        pp_pop_free(&h->in, h->reading);
        h->reading = NULL;
    }
}

static void work(hand *h, uint8_t how) {
    if (h->reading != NULL) return;
    if (sound(pp_pop_lease(&h->in, h->lease)) != PP_OK) return;
    use_slot(h, &h->lease->element);
    put(h, how, true);
    pp_lease_decide(h->lease, how % PP_OUTCOMES, 1, pp_load_acq(&h->lease->sent) + 1);
    if (how & 0x20) return; /* the death comes before it is counted */
    sound(pp_lease_apply(h->lease));
    pp_store_rel(&h->lease->in, 0);
    if (h->lease->element.head.kind == PP_BLOCK) pp_arena_release(&h->arena, h->lease->element.body.block);
}

static void allocate(hand *h, uint8_t which, uint8_t how) {
    static const uint64_t sizes[] = {0,       1,       256,     257,     5000,    70000,   524288,    524289,
                                     1048576, 1048577, 2000000, 3145729, 4194304, 4194305, UINT64_MAX};
    pp_descriptor *block = &h->blocks[which % BLOCKS_KEPT];
    if (pp_arena_allocate(&h->arena, sizes[how % (sizeof sizes / sizeof *sizes)], block) == PP_OK)
        use_block(h, *block);
}

static void use_kept(hand *h, uint8_t which, uint8_t how, uint8_t value) {
    pp_descriptor *block = &h->blocks[which % BLOCKS_KEPT];
    switch (how % 6) {
        case 0: pp_arena_release(&h->arena, *block); break;
        case 1: pp_arena_retain(&h->arena, *block); break;
        case 2: pp_arena_publish(&h->arena, *block, how); break;
        case 3: block->offset = garbage(value, block->offset); break;
        case 4: block->nbytes = garbage(value, block->nbytes); break;
        default: block->offset += PP_BLOCK_MIN * value; break;
    }
    use_block(h, *block);
}

static void bury(unsigned which) {
    hand *h = &hands[which];
    if (!pp_ring_valid(ring, ring_nbytes)) {
        MUST(is_damaged);
        return;
    }
    pp_ring_settle(ring, h->lease, which + 1);
    pp_ring_mend(ring, h->lease, which + 1);
    sound(pp_lease_settle(h->lease));
    pp_arena_repair(&h->arena, (uint16_t)(which + 1));
    h->writing = h->reading = NULL;
    open_hand(which);
}

static void look(hand *h, uint8_t which, uint8_t how) {
    uint64_t figures[4];
    switch (which % 8) {
        case 0: pp_arena_usage(&h->arena, &figures[0], &figures[1], &figures[2], &figures[3]); break;
        case 1: pp_ring_count(ring); break;
        case 2:
            if (pp_ring_valid(ring, ring_nbytes)) pp_ring_closed(ring);
            break;
        case 3: pp_wait_pop(&h->in, 0); break;
        case 4: pp_wait_push(&h->out, 0); break;
        case 5: pp_window_wait(window, how, 0); break;
        case 6: pp_window_advance(window, how, how & 1, -1); break;
        default: pp_lease_noted(h->lease, &h->lease->begun); break;
    }
}

static void end(hand *h, uint8_t which, uint8_t how) {
    switch (which % 4) {
        case 0: pp_push_close(&h->out); break;
        case 1:
            if (pp_ring_valid(ring, ring_nbytes)) pp_ring_close_for(ring, how);
            break;
        case 2: pp_ring_wake_all(ring, -1); break;
        default:
            if (how == 0) pp_ring_abort(ring, -1);
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    make_world();
    is_spared = size > 0 && (data[0] & 0x30) == 0x30;
    for (; size >= 4; data += 4, size -= 4) {
        hand *h = &hands[data[0] >> 7];
        uint16_t where = (uint16_t)(data[1] << 8 | data[2]);
        memory_is_short = data[0] & 0x40 && data[3] & 0x10;
        switch (data[0] % 16) {
            case 0:
            case 1: put(h, data[1], false); break;
            case 2: take(h); break;
            case 3:
            case 4: work(h, data[1]); break;
            case 5:
            case 6: allocate(h, data[1], data[2]); break;
            case 7: use_kept(h, data[1], data[2], data[3]); break;
            case 8: bury(data[0] >> 7); break;
            case 9: look(h, data[1], data[2]); break;
            case 10: end(h, data[1], data[2]); break;
            case 11: damage((void *)ring, ring_nbytes / 8 * 8, where, data[3]); break;
            case 12: damage((void *)h->lease, sizeof(pp_lease), where, data[3]); break;
            case 13: damage((void *)window, sizeof(pp_window), where, data[3]); break;
            case 14: damage_arena(where, data[3]); break;
            default: begin_or_finish(h, data[1]); break;
        }
    }
    return 0;
}
