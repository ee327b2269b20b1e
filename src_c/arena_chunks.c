/* arena_chunks.c - claiming, cutting and reclaiming the chunks of an arena.
 *
 * Called by arena.c when no block is free where it looked.  Any participant may be inside any of these
 * functions at the same time, and may be killed at any instruction.
 *
 * Invariants:
 *   - A chunk word is changed only by who moved it from UNUSED to CLAIMED|itself, or by who owns every
 *     block of the chunk (of a run: its one block).  So there is one writer at a time, and its stores
 *     need no compare-and-swap.
 *   - Block words of an unused chunk are zero.  The exception is an allocator that looked at a chunk
 *     before it was cut anew: it owns a word for a moment, sees the new cut, and gives the word back.
 *     Hence no step here may assume that a word is zero; a word that is not is a block in use.
 *   - The pages of a word are reserved before the chunk word is stored that lets others touch it.
 *
 * Memory order: the release store of a chunk word pairs with the acquire load by everyone who acts on
 * what the word says; block words likewise.
 *
 * What a death leaves, and pp_arena_repair mends:
 *   claiming, reserving        CLAIMED|dead                                   -> UNUSED
 *   taking every block         blocks owned by the dead                       -> free
 *   making or undoing a run    LARGE whose block the dead owns, with a tail
 *                              that is CLAIMED|dead                           -> all of it UNUSED
 */
#include "arena_chunks.h"

/* Before the claim, so that repair, which walks up to this mark, meets every claim. */
static void raise_high_water(pp_arena *arena, uint64_t above) {
    uint64_t seen = pp_load_rlx(&arena->header->high_water);
    while (seen < above && !pp_cas64(&arena->header->high_water, &seen, above)) {
    }
}

static bool claim(pp_arena *arena, uint64_t chunk) {
    pp_chunk *c = pp_chunk_at(arena, chunk);
    uint64_t expected = PP_CHUNK_UNUSED;
    if (pp_load_rlx(&c->word) != expected) /* the swap below decides; this saves taking the line */
        return false;
    raise_high_water(arena, chunk + 1);
    return pp_cas64(&c->word, &expected, PP_CHUNK_CLAIMED | arena->owner);
}

static void give_back(pp_arena *arena, uint64_t first, uint64_t end) {
    while (end > first) pp_store_rel(&pp_chunk_at(arena, --end)->word, PP_CHUNK_UNUSED);
}

/* Pages for the bytes and the first `words` words of a chunk that this owner has claimed. */
static int reserve(pp_arena *arena, uint64_t chunk, uint64_t words) {
    pp_chunk *c = pp_chunk_at(arena, chunk);
    /* Relaxed: written only under a claim, and the claim's acquire ordered us after the last one. */
    if (pp_load_rlx(&c->reserved_words) < words) {
        uint64_t offset = arena->words_offset + chunk * PP_WORDS_MAX * sizeof(pp_a64);
        int status = pp_segment_reserve(arena->segment, offset, words * sizeof(pp_a64));
        if (status != PP_OK) return status;
        pp_store_rel(&c->reserved_words, words);
    }
    if (pp_load_rlx(&c->reserved_bytes) == 0) {
        uint64_t offset = arena->payload_offset + chunk * PP_CHUNK_BYTES;
        int status = pp_segment_reserve(arena->segment, offset, PP_CHUNK_BYTES);
        if (status != PP_OK) return status;
        pp_store_rel(&c->reserved_bytes, PP_CHUNK_BYTES);
    }
    return PP_OK;
}

int pp_chunks_cut(pp_arena *arena, unsigned cls, uint64_t *chunk) {
    int result = PP_FULL;
    /* Lowest first: those below the high-water mark have pages already. */
    for (uint64_t i = arena->from; i < arena->until; i++) {
        pp_chunk *c = pp_chunk_at(arena, i);
        /* Once the system had no pages, only a chunk that has some is worth a try. */
        if (result != PP_FULL && pp_load_acq(&c->reserved_bytes) == 0) continue;
        if (!claim(arena, i)) continue;
        int status = reserve(arena, i, pp_class_blocks(cls));
        if (status != PP_OK) {
            give_back(arena, i, i + 1);
            result = status;
            continue;
        }
        pp_store_rel(&c->freed, 1);
        pp_store_rel(&c->word, cls + 1);
        *chunk = i;
        return PP_OK;
    }
    return result;
}

/* A free run that was made before and wastes at most a quarter of the request. */
static bool reuse_run(pp_arena *arena, uint64_t count, uint64_t *chunk) {
    uint64_t end = pp_zone_end(arena);
    for (uint64_t i = arena->from; i < end; i++) {
        uint64_t word = pp_load_acq(&pp_chunk_at(arena, i)->word);
        uint64_t found = PP_CHUNK_VALUE(word);
        if (PP_CHUNK_STATE(word) != PP_CHUNK_LARGE || found < count || found > count + count / 4) continue;
        if (!pp_run_fits(arena, i, word)) continue;
        pp_a64 *block = pp_words_of(arena, i);
        uint64_t expected = 0;
        if (pp_load_rlx(block) != 0 || !pp_cas64(block, &expected, PP_BLOCK_OWNED(arena->owner))) continue;
        if (pp_load_acq(&pp_chunk_at(arena, i)->word) == word) {
            *chunk = i;
            return true;
        }
        pp_block_free(arena, i, 0); /* the run was undone between our look and our swap */
    }
    return false;
}

/* Claim chunks [first, first + count).  False, with nothing claimed and *busy the one in the way. */
static bool claim_run(pp_arena *arena, uint64_t first, uint64_t count, uint64_t *busy) {
    for (uint64_t i = first; i < first + count; i++) {
        if (!claim(arena, i)) {
            give_back(arena, first, i);
            *busy = i;
            return false;
        }
    }
    return true;
}

int pp_chunks_take_run(pp_arena *arena, uint64_t count, uint64_t *chunk) {
    if (reuse_run(arena, count, chunk)) return PP_OK;
    uint64_t first = arena->from;
    while (first + count <= arena->until) {
        uint64_t busy;
        if (first < arena->common && first + count > arena->common) {
            first = arena->common; /* no block lies in two zones */
            continue;
        }
        if (!claim_run(arena, first, count, &busy)) {
            first = busy + 1;
            continue;
        }
        int status = PP_OK;
        for (uint64_t i = first; i < first + count && status == PP_OK; i++)
            status = reserve(arena, i, i == first ? 1 : 0);
        uint64_t expected = 0;
        if (status != PP_OK ||
            !pp_cas64(pp_words_of(arena, first), &expected, PP_BLOCK_OWNED(arena->owner))) {
            give_back(arena, first, first + count);
            if (status != PP_OK) return status;
            first++; /* someone who is late holds the word for a moment */
            continue;
        }
        /* The head before the tails: a death in between leaves a LARGE chunk whose block the dead
         * owns and whose tails show that it was not finished. */
        pp_store_rel(&pp_chunk_at(arena, first)->word, PP_CHUNK_LARGE | count);
        for (uint64_t i = first + 1; i < first + count; i++)
            pp_store_rel(&pp_chunk_at(arena, i)->word, PP_CHUNK_TAIL | first);
        *chunk = first;
        return PP_OK;
    }
    return PP_FULL;
}

static bool reclaim_run(pp_arena *arena, uint64_t chunk, uint64_t word) {
    pp_a64 *block = pp_words_of(arena, chunk);
    uint64_t expected = 0;
    if (pp_load_rlx(block) != 0 || !pp_cas64(block, &expected, PP_BLOCK_OWNED(arena->owner))) return false;
    if (pp_load_acq(&pp_chunk_at(arena, chunk)->word) != word) {
        pp_block_free(arena, chunk, 0);
        return false;
    }
    /* CLAIMED first and the tails before the head: at every step a death leaves either the whole
     * run, or a run that shows that it was being undone, or claims. */
    uint64_t end = chunk + PP_CHUNK_VALUE(word);
    for (uint64_t i = end; i-- > chunk;)
        pp_store_rel(&pp_chunk_at(arena, i)->word, PP_CHUNK_CLAIMED | arena->owner);
    pp_store_rel(block, 0);
    give_back(arena, chunk, end);
    return true;
}

static bool reclaim_cut(pp_arena *arena, uint64_t chunk, uint64_t word) {
    pp_a64 *words = pp_words_of(arena, chunk);
    uint64_t blocks = pp_class_blocks((unsigned)word - 1), taken = 0;
    for (uint64_t i = 0; i < blocks; i++)
        if (pp_load_rlx(&words[i]) != 0) return false;
    bool whole = true;
    while (whole && taken < blocks) {
        uint64_t expected = 0;
        if (pp_cas64(&words[taken], &expected, PP_BLOCK_OWNED(arena->owner)))
            taken++;
        else
            whole = false;
    }
    whole = whole && pp_load_acq(&pp_chunk_at(arena, chunk)->word) == word;
    if (whole) pp_store_rel(&pp_chunk_at(arena, chunk)->word, PP_CHUNK_CLAIMED | arena->owner);
    for (uint64_t i = 0; i < taken; i++) pp_block_free(arena, chunk, i);
    if (whole) give_back(arena, chunk, chunk + 1);
    return whole;
}

bool pp_chunks_reclaim(pp_arena *arena, bool all) {
    bool any = false;
    uint64_t end = pp_zone_end(arena);
    for (uint64_t i = arena->from; i < end && (all || !any); i++) {
        uint64_t word = pp_load_acq(&pp_chunk_at(arena, i)->word);
        if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE && pp_run_fits(arena, i, word))
            any |= reclaim_run(arena, i, word);
        else if (word != PP_CHUNK_UNUSED && word <= PP_CLASSES)
            any |= reclaim_cut(arena, i, word);
    }
    return any;
}
