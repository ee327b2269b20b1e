/* arena_memory.h - an arena on Relacy's atomics, whose blocks stand for memory that is handed from one to another. */
#ifndef PP_WEAK_ARENA_MEMORY_H
#define PP_WEAK_ARENA_MEMORY_H

#include "checked.h"

#include "arena.c"
#undef MAGIC
#include "arena_chunks.c"
#include "arena_repair.c"
#include "holding.c"

int pp_segment_reserve(pp_segment *, uint64_t, uint64_t) { return PP_OK; }

enum { WORDS = PP_CHUNK_BYTES / PP_BLOCK_MIN, CHUNKS_MOST = 2 };

static unsigned chunks, kept; /* blocks that stay in use */

/* The arena's memory, and what each block's bytes stand for. */
struct arena_memory {
    alignas(64) unsigned char bytes[8192];
    handed<unsigned> content[CHUNKS_MOST * WORDS];
    pp_segment segment;

    pp_arena_header *header() { return (pp_arena_header *)bytes; }

    static void zero(pp_a64 *word) {
        new (word) pp_a64();
        pp_store_rlx(word, 0);
    }

    void create() {
        segment = pp_segment();
        segment.base = bytes;
        segment.nbytes = sizeof bytes;
        RL_ASSERT(pp_arena_segment_bytes(chunks * PP_CHUNK_BYTES) <= sizeof bytes);
        zero(&header()->high_water);
        zero(&header()->pressed);
        for (pp_a64 &held : header()->held) zero(&held);
        RL_ASSERT(pp_arena_create(&segment, chunks * PP_CHUNK_BYTES) == PP_OK);
        pp_arena arena = open(1);
        for (unsigned i = 0; i < chunks; i++) {
            pp_chunk *chunk = pp_chunk_at(&arena, i);
            zero(&chunk->word);
            zero(&chunk->freed);
            zero(&chunk->reserved_words);
            zero(&chunk->reserved_bytes);
            for (unsigned k = 0; k < WORDS; k++) zero(&pp_words_of(&arena, i)[k]);
        }
    }

    void destroy() {
        pp_arena arena = open(1);
        for (unsigned i = 0; i < chunks; i++) {
            pp_chunk_at(&arena, i)->~pp_chunk();
            for (unsigned k = 0; k < WORDS; k++) pp_words_of(&arena, i)[k].~pp_a64();
        }
        for (pp_a64 &held : header()->held) held.~pp_a64();
        header()->pressed.~pp_a64();
        header()->high_water.~pp_a64();
    }

    pp_arena open(uint16_t owner) {
        pp_arena arena;
        RL_ASSERT(pp_arena_open(&arena, &segment, owner) == PP_OK);
        return arena;
    }

    /* At least one, or everything that is lost would be found again by cutting the chunk anew. */
    void keep(uint16_t owner) {
        pp_arena arena = open(owner);
        pp_descriptor block;
        for (unsigned i = 0; i < kept; i++)
            RL_ASSERT(pp_arena_allocate(&arena, PP_BLOCK_MIN, &block) == PP_OK);
    }

    handed<unsigned> &content_of(pp_descriptor block) { return content[block.offset / PP_BLOCK_MIN]; }

    /* Blocks of the smallest size that one participant can get now. */
    unsigned allocatable(uint16_t owner) {
        pp_arena arena = open(owner);
        pp_descriptor block;
        unsigned count = 0;
        while (pp_arena_allocate(&arena, PP_BLOCK_MIN, &block) == PP_OK) {
            content_of(block).set(owner);
            count++;
        }
        return count;
    }
};

#endif
