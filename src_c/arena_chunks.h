/* arena_chunks.h - how an arena lies in its segment, and the changes of state of its chunks.
 *
 * For arena*.c only.  The segment holds, in this order:
 *
 *   header | chunk table | block words, PP_WORDS_MAX for each chunk | chunks
 *
 * Only the header and the chunk table are reserved at creation.  A chunk's bytes and as many of its
 * words as the cut needs are reserved when the chunk is first claimed, and stay so.
 */
#ifndef PP_ARENA_CHUNKS_H
#define PP_ARENA_CHUNKS_H

#include "holding.h"

#define PP_WORDS_MAX (PP_CHUNK_BYTES / PP_BLOCK_MIN)

/* Chunk words.  A cut chunk has class + 1. */
#define PP_CHUNK_UNUSED ((uint64_t)0)
#define PP_CHUNK_LARGE ((uint64_t)1 << 32)   /* | number of chunks in the run */
#define PP_CHUNK_TAIL ((uint64_t)2 << 32)    /* | the LARGE chunk that it belongs to */
#define PP_CHUNK_CLAIMED ((uint64_t)3 << 32) /* | owner: that owner is changing it */
#define PP_CHUNK_STATE(word) ((word) & ~(uint64_t)0xffffffff)
#define PP_CHUNK_VALUE(word) ((word) & 0xffffffff)

/* Block words. */
#define PP_BLOCK_COUNT_MAX 0xffff
#define PP_BLOCK_COUNT(word) ((word) & PP_BLOCK_COUNT_MAX)
#define PP_BLOCK_OWNED(owner) ((uint64_t)(owner) << 16)
#define PP_BLOCK_OWNER(word) ((uint16_t)((word) >> 16))
#define PP_BLOCK_HELD(holder) ((uint64_t)1 << (32 + (holder)))
#define PP_BLOCK_HOLDERS(word) ((word) >> 32)

typedef struct pp_chunk {
    pp_a64 word;
    /* Where to look for a free block: its index + 1, or PP_FREED_LOOKING | owner while that owner
     * searches the whole chunk.  Zero only when such a search found nothing and no block was freed
     * since it began. */
    pp_a64 freed;
    pp_a64 reserved_words; /* block words of this chunk that have pages; only grows */
    pp_a64 reserved_bytes; /* 0 or PP_CHUNK_BYTES */
} pp_chunk;

#define PP_FREED_LOOKING ((uint64_t)1 << 63)

struct pp_arena_header {
    uint64_t magic;
    uint64_t chunks;         /* in the arena */
    uint64_t words_offset;   /* of the block words, from the segment's base */
    uint64_t payload_offset; /* of the chunks, from the segment's base: the arena's base */
    uint64_t common;         /* chunks in which anything may lie */
    uint64_t holdable;       /* chunks before the spare */
    uint64_t poisons;        /* 1: what is freed is overwritten */
    unsigned char pad[PP_FAR - 7 * 8];
    pp_a64 high_water; /* no chunk at or above this was ever claimed */
    pp_a64 pressed;    /* 1: somebody found no room; who receives copies out instead of holding */
    unsigned char pad2[PP_FAR - 16];
    pp_a64 held[PP_HOLDERS]; /* bytes of blocks that each process holds; only it writes its own */
    pp_a64 figures[PP_FIGURES];
};

_Static_assert(sizeof(pp_chunk) == 32, "two chunks share a line, none straddles one");
_Static_assert(offsetof(pp_arena_header, held) == 2 * PP_FAR, "the marks are alone on their line");
_Static_assert(sizeof(pp_arena_header) % PP_FAR == 0, "the table of chunks begins on a line of its own");
_Static_assert((PP_BLOCK_MIN << PP_CLASSES) == PP_CHUNK_BYTES, "the largest class is half a chunk");

static inline uint64_t pp_class_bytes(unsigned cls) { return PP_BLOCK_MIN << cls; }

static inline uint64_t pp_class_blocks(unsigned cls) { return PP_WORDS_MAX >> cls; }

static inline pp_chunk *pp_chunk_at(const pp_arena *arena, uint64_t chunk) {
    return (pp_chunk *)(arena->segment->base + sizeof(pp_arena_header)) + chunk;
}

static inline pp_a64 *pp_words_of(const pp_arena *arena, uint64_t chunk) {
    return (pp_a64 *)(arena->segment->base + arena->words_offset) + chunk * PP_WORDS_MAX;
}

/* Where a walk over the chunks that were ever claimed ends. */
static inline uint64_t pp_chunks_end(const pp_arena *arena) {
    uint64_t end = pp_load_acq(&arena->header->high_water);
    return end < arena->chunks ? end : arena->chunks;
}

/* The same for the chunks in which the caller allocates. */
static inline uint64_t pp_zone_end(const pp_arena *arena) {
    uint64_t end = pp_chunks_end(arena);
    return end < arena->until ? end : arena->until;
}

/* Whether the run that a LARGE chunk's word tells of lies in the arena, and is one. */
static inline bool pp_run_fits(const pp_arena *arena, uint64_t chunk, uint64_t word) {
    return PP_CHUNK_VALUE(word) != 0 && PP_CHUNK_VALUE(word) <= arena->chunks - chunk;
}

/* Claim an unused chunk, reserve it and cut it into blocks of a class.  PP_OK (*chunk names it),
 * PP_FULL (no unused chunk) or what pp_segment_reserve said. */
int pp_chunks_cut(pp_arena *arena, unsigned cls, uint64_t *chunk);

/* Take a run of at least `count` chunks as one block owned by arena->owner.  Same status codes. */
int pp_chunks_take_run(pp_arena *arena, uint64_t count, uint64_t *chunk);

/* Make chunks of which every block is free unused again: one of them, or all.  True when any was. */
bool pp_chunks_reclaim(pp_arena *arena, bool all);

/* Where a block's word is; false when the descriptor cannot name a block. */
bool pp_block_locate(const pp_arena *arena, pp_descriptor block, uint64_t *chunk, uint64_t *index);

/* A block has become free: let those who search its chunk find it.
 *
 * Sequential consistency: this is one half of a Dekker pair.  Here: free the block, then look at
 * `freed`.  The searcher: store LOOKING in `freed`, then look at the blocks.  Either the searcher sees
 * the block free, or this sees LOOKING (or the zero that follows it) and leaves the hint. */
static inline void pp_chunk_note_freed(pp_chunk *chunk, uint64_t index) {
    uint64_t seen = pp_load_seq(&chunk->freed);
    if (seen == 0 || (seen & PP_FREED_LOOKING)) pp_store_rel(&chunk->freed, index + 1);
}

/* Overwrite a block that arena->owner owns, which is about to be free. */
void pp_block_poison(const pp_arena *arena, uint64_t chunk, uint64_t index);

/* What a word becomes when `left` says that nobody has the block: zero, or in an arena that poisons the caller's
 * for the moment that this takes. */
static inline uint64_t pp_block_left(const pp_arena *arena, uint64_t left) {
    return left == 0 && arena->poisons ? PP_BLOCK_OWNED(arena->owner) : left;
}

/* Free a block that arena->owner owns, or that the dead did.  Nobody else writes its word. */
static inline void pp_block_free(const pp_arena *arena, uint64_t chunk, uint64_t index) {
    pp_store_seq(&pp_words_of(arena, chunk)[index], 0);
    pp_chunk_note_freed(pp_chunk_at(arena, chunk), index);
}

/* A word that nobody was left in has been stored, as pp_block_left said: the block is free. */
static inline void pp_block_note_left(const pp_arena *arena, uint64_t chunk, uint64_t index) {
    if (arena->poisons) {
        pp_block_poison(arena, chunk, index);
        pp_block_free(arena, chunk, index);
    } else {
        pp_chunk_note_freed(pp_chunk_at(arena, chunk), index);
    }
}

#endif
