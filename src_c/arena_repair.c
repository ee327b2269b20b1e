/* arena_repair.c - walks over all words of an arena: mending after a death, and figures.
 *
 * Repair is called by the supervisor, once the owner is proven dead and while the others go on.  It
 * changes only words that name the dead, which nobody else writes, so it needs no agreement with
 * anyone.  It may itself be interrupted and called again: what is mended no longer names the dead.
 */
#include "arena_chunks.h"

/* A run whose one block the dead owns.  True when it was whole, and so has become a free run. */
static bool repair_run(pp_arena *arena, uint64_t chunk, uint64_t count, uint16_t dead) {
    uint64_t claimed = PP_CHUNK_CLAIMED | dead;
    bool whole = true;
    for (uint64_t i = chunk + 1; i < chunk + count; i++)
        if (pp_load_acq(&pp_chunk_at(arena, i)->word) == claimed) whole = false;
    /* The dead was making it, or undoing it: nothing of it is in use.  Claims of the dead are what the
     * walk gives back next; the head last, so that a repair that was interrupted here starts here. */
    if (!whole)
        for (uint64_t i = chunk + count; i-- > chunk;) pp_store_rel(&pp_chunk_at(arena, i)->word, claimed);
    pp_block_free(arena, chunk, 0);
    return whole;
}

uint64_t pp_arena_repair(pp_arena *arena, uint16_t dead) {
    uint64_t freed = 0;
    uint64_t end = pp_chunks_end(arena);
    for (uint64_t chunk = 0; chunk < end; chunk++) {
        pp_chunk *c = pp_chunk_at(arena, chunk);
        pp_a64 *words = pp_words_of(arena, chunk);
        uint64_t words_end = pp_load_acq(&c->reserved_words), word = pp_load_acq(&c->word);
        if (words_end > PP_WORDS_MAX) words_end = PP_WORDS_MAX;
        if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE && pp_run_fits(arena, chunk, word) &&
            pp_load_acq(words) == PP_BLOCK_OWNED(dead))
            freed += repair_run(arena, chunk, PP_CHUNK_VALUE(word), dead);
        if (pp_load_acq(&c->word) == (PP_CHUNK_CLAIMED | dead)) pp_store_rel(&c->word, PP_CHUNK_UNUSED);
        for (uint64_t i = 0; i < words_end; i++) {
            if (pp_load_acq(&words[i]) != PP_BLOCK_OWNED(dead)) continue;
            pp_block_free(arena, chunk, i);
            freed++;
        }
        /* The dead may have freed a block and not come to say so. */
        uint64_t nothing = 0;
        pp_cas64(&c->freed, &nothing, 1);
    }
    return freed;
}

void pp_arena_usage(const pp_arena *arena, uint64_t *capacity, uint64_t *blocks_in_use,
                    uint64_t *bytes_in_use, uint64_t *bytes_reserved) {
    uint64_t blocks = 0, bytes = 0;
    uint64_t reserved = sizeof(pp_arena_header) + arena->chunks * sizeof(pp_chunk);
    uint64_t end = pp_chunks_end(arena);
    for (uint64_t chunk = 0; chunk < end; chunk++) {
        pp_chunk *c = pp_chunk_at(arena, chunk);
        pp_a64 *words = pp_words_of(arena, chunk);
        uint64_t word = pp_load_acq(&c->word), count = 0, block_bytes = 0;
        reserved += pp_load_acq(&c->reserved_words) * sizeof(pp_a64) + pp_load_acq(&c->reserved_bytes);
        if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE) {
            count = 1;
            block_bytes = PP_CHUNK_VALUE(word) * PP_CHUNK_BYTES;
        } else if (word != PP_CHUNK_UNUSED && word <= PP_CLASSES) {
            count = pp_class_blocks((unsigned)word - 1);
            block_bytes = pp_class_bytes((unsigned)word - 1);
        }
        for (uint64_t i = 0; i < count; i++) {
            if (pp_load_rlx(&words[i]) == 0) continue; /* a figure, not a decision */
            blocks++;
            bytes += block_bytes;
        }
    }
    if (capacity != NULL) *capacity = arena->common * PP_CHUNK_BYTES;
    if (blocks_in_use != NULL) *blocks_in_use = blocks;
    if (bytes_in_use != NULL) *bytes_in_use = bytes;
    if (bytes_reserved != NULL) *bytes_reserved = reserved;
}
