/* holding.c - blocks that processes hold and lend: see holding.h.
 *
 * Called by any thread of any participant.  A block's word is only changed by compare-and-swap here: it has
 * several writers as soon as it travels.
 */
#include "holding.h"

#include "arena_chunks.h"

int pp_block_at(const pp_arena *arena, uint64_t offset, uint64_t nbytes, pp_descriptor *block) {
    uint64_t at = offset / PP_CHUNK_BYTES;
    if (at >= arena->chunks) return PP_CORRUPT;
    uint64_t word = pp_load_acq(&pp_chunk_at(arena, at)->word);
    if (PP_CHUNK_STATE(word) == PP_CHUNK_TAIL) {
        at = PP_CHUNK_VALUE(word);
        if (at >= arena->chunks) return PP_CORRUPT;
        word = pp_load_acq(&pp_chunk_at(arena, at)->word);
        if (PP_CHUNK_STATE(word) != PP_CHUNK_LARGE) return PP_CORRUPT;
    }
    if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE) {
        if (!pp_run_fits(arena, at, word)) return PP_CORRUPT;
        block->offset = at * PP_CHUNK_BYTES;
        block->nbytes = PP_CHUNK_VALUE(word) * PP_CHUNK_BYTES;
    } else {
        if (word == PP_CHUNK_UNUSED || word > PP_CLASSES) return PP_CORRUPT;
        block->nbytes = pp_class_bytes((unsigned)word - 1);
        block->offset = offset / block->nbytes * block->nbytes;
    }
    uint64_t within = offset - block->offset;
    return offset >= block->offset && within <= block->nbytes && nbytes <= block->nbytes - within
               ? PP_OK
               : PP_CORRUPT;
}

static pp_a64 *word_of(const pp_arena *arena, pp_descriptor block, uint64_t *chunk, uint64_t *index) {
    return pp_block_locate(arena, block, chunk, index) ? &pp_words_of(arena, *chunk)[*index] : NULL;
}

static uint64_t unmarked(uint64_t word) { return word & ~PP_BLOCK_OWNED(0xffff); }

int pp_block_hold(const pp_arena *arena, pp_descriptor block, unsigned holder) {
    uint64_t chunk, index;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word), wanted;
    do {
        if (seen == 0) return PP_CORRUPT;
        /* What this participant has allocated becomes what its process holds. */
        wanted = (seen == PP_BLOCK_OWNED(arena->owner) ? 0 : seen) | PP_BLOCK_HELD(holder);
    } while (!pp_cas64(word, &seen, wanted));
    return PP_OK;
}

/* Free the block if `left` says that nobody has it. */
static void note_left(const pp_arena *arena, uint64_t chunk, uint64_t index, uint64_t left, bool *freed) {
    if (left == 0) pp_block_note_left(arena, chunk, index);
    *freed = left == 0;
}

int pp_block_drop(const pp_arena *arena, pp_descriptor block, unsigned holder, bool *freed) {
    uint64_t chunk, index, left;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word);
    do {
        if (!(seen & PP_BLOCK_HELD(holder))) return PP_CORRUPT;
        left = seen & ~PP_BLOCK_HELD(holder);
    } while (!pp_cas64_seq(word, &seen, pp_block_left(arena, left)));
    note_left(arena, chunk, index, left, freed);
    return PP_OK;
}

int pp_block_lend(const pp_arena *arena, pp_descriptor block, unsigned holder, uint16_t lender) {
    uint64_t chunk, index;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word);
    do {
        if (!(seen & PP_BLOCK_HELD(holder))) return PP_CORRUPT;
        if (PP_BLOCK_COUNT(seen) == PP_BLOCK_COUNT_MAX) return PP_FULL;
    } while (!pp_cas64(word, &seen, (unmarked(seen) | PP_BLOCK_OWNED(lender)) + 1));
    return PP_OK;
}

int pp_block_lent(const pp_arena *arena, pp_descriptor block, uint16_t lender) {
    uint64_t chunk, index;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word), left;
    do {
        /* Somebody has taken the mark over, and the block may be another's by now.  It is not the caller's
         * own: between lending a block and coming here it leaves none that it has allocated unpublished. */
        if (PP_BLOCK_OWNER(seen) != lender) return PP_OK;
        left = unmarked(seen);
    } while (!pp_cas64_seq(word, &seen, pp_block_left(arena, left)));
    /* The receiver was quick, and the lender's process does not hold it any more. */
    if (left == 0) pp_block_note_left(arena, chunk, index);
    return PP_OK;
}

int pp_block_return(const pp_arena *arena, pp_descriptor block, uint16_t lender, bool *freed) {
    uint64_t chunk, index, left;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word);
    do {
        if (PP_BLOCK_COUNT(seen) == 0) return PP_CORRUPT;
        left = (PP_BLOCK_OWNER(seen) == lender ? unmarked(seen) : seen) - 1;
    } while (!pp_cas64_seq(word, &seen, pp_block_left(arena, left)));
    note_left(arena, chunk, index, left, freed);
    return PP_OK;
}

int pp_block_leave(const pp_arena *arena, pp_descriptor block, uint16_t leaver) {
    uint64_t chunk, index;
    pp_a64 *word = word_of(arena, block, &chunk, &index);
    if (word == NULL) return PP_CORRUPT;
    uint64_t seen = pp_load_acq(word);
    do {
        if (PP_BLOCK_COUNT(seen) == 0) return PP_CORRUPT;
        if (PP_BLOCK_OWNER(seen) != 0) return PP_FULL;
    } while (!pp_cas64(word, &seen, seen | PP_BLOCK_OWNED(leaver)));
    return PP_OK;
}

/* ---- how much may be held ---- */

bool pp_arena_may_hold(pp_arena *arena, unsigned holder, uint64_t nbytes, uint64_t limit) {
    pp_a64 *held = arena->header->held;
    if (pp_load_rlx(&arena->header->pressed)) return false; /* a hint: nothing is read through it */
    /* Counted first and looked at then: of two that would both be too much, one at least sees the other. */
    atomic_fetch_add_explicit(&held[holder], nbytes, memory_order_seq_cst);
    uint64_t all = 0;
    for (unsigned i = 0; i < PP_HOLDERS; i++) all += pp_load_seq(&held[i]);
    if (all <= limit) return true;
    pp_arena_unhold(arena, holder, nbytes);
    return false;
}

void pp_arena_unhold(pp_arena *arena, unsigned holder, uint64_t nbytes) {
    atomic_fetch_sub_explicit(&arena->header->held[holder], nbytes, memory_order_release);
}

bool pp_arena_is_held(const pp_arena *arena) {
    for (unsigned i = 0; i < PP_HOLDERS; i++)
        if (pp_load_rlx(&arena->header->held[i]) != 0) return true;
    return false;
}

void pp_arena_press(pp_arena *arena, bool pressed) {
    if (pp_load_rlx(&arena->header->pressed) != pressed) pp_store_rlx(&arena->header->pressed, pressed);
}

void pp_arena_note(pp_arena *arena, int figure, uint64_t nbytes) {
    pp_arena_note_many(arena, figure, 1, nbytes);
}

void pp_arena_note_many(pp_arena *arena, int figure, uint64_t count, uint64_t nbytes) {
    pp_add_rlx(&arena->header->figures[2 * figure], count);
    pp_add_rlx(&arena->header->figures[2 * figure + 1], nbytes);
}

void pp_arena_figure(const pp_arena *arena, int figure, uint64_t *count, uint64_t *nbytes) {
    *count = pp_load_rlx(&arena->header->figures[2 * figure]);
    *nbytes = pp_load_rlx(&arena->header->figures[2 * figure + 1]);
}

/* ---- deaths ---- */

/* What a word becomes when the dead is gone from it. */
static uint64_t without(uint64_t word, uint16_t dead, uint64_t held, bool undo) {
    uint64_t left = word & ~held;
    /* Only its own, with nothing beside it: allocated and not published, which pp_arena_repair frees. */
    if (PP_BLOCK_OWNER(word) != dead || word == PP_BLOCK_OWNED(dead)) return left;
    left &= ~PP_BLOCK_OWNED(dead);
    return undo && PP_BLOCK_COUNT(left) != 0 ? left - 1 : left;
}

void pp_arena_settle(pp_arena *arena, uint16_t dead, int holder, bool undo) {
    uint64_t held = holder < 0 ? 0 : PP_BLOCK_HELD(holder);
    uint64_t end = pp_chunks_end(arena);
    for (uint64_t chunk = 0; chunk < end; chunk++) {
        pp_a64 *words = pp_words_of(arena, chunk);
        uint64_t words_end = pp_load_acq(&pp_chunk_at(arena, chunk)->reserved_words);
        if (words_end > PP_WORDS_MAX) words_end = PP_WORDS_MAX;
        for (uint64_t i = 0; i < words_end; i++) {
            uint64_t seen = pp_load_acq(&words[i]), left;
            do {
                left = without(seen, dead, held, undo);
            } while (left != seen && !pp_cas64_seq(&words[i], &seen, pp_block_left(arena, left)));
            if (left == 0 && seen != 0) pp_block_note_left(arena, chunk, i);
        }
    }
    if (holder >= 0) pp_store_rel(&arena->header->held[holder], 0);
}
