/* arena_discard.c - what is left of an arena when its run is over: the blocks that somebody still looks at.
 *
 * Called by the process that keeps views, when no other participant is left and nobody allocates any more. The
 * pages of everything that it does not hold go back to the system, so that an array that is kept costs itself
 * and not all that ever travelled beside it. A crash leaves nothing: the memory goes with the process.
 *
 * Linux only: elsewhere there is no such call for shared memory, and the pages go with the last view.
 */
#include "holding.h"

#include "arena_chunks.h"

#if defined(__linux__)

#include <sys/mman.h>
#include <unistd.h>

/* Whole pages within [offset, offset + nbytes) of the payload. Failing is fine: they stay. */
static void discard(const pp_arena *arena, uint64_t offset, uint64_t nbytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = (arena->payload_offset + offset + page - 1) / page * page;
    uint64_t end = (arena->payload_offset + offset + nbytes) / page * page;
    if (end > start) madvise(arena->segment->base + start, end - start, MADV_REMOVE);
}

void pp_block_discard(const pp_arena *arena, pp_descriptor block) {
    discard(arena, block.offset, block.nbytes);
}

void pp_arena_discard(const pp_arena *arena, unsigned holder) {
    uint64_t end = pp_chunks_end(arena), free_from = 0, at = 0;
    for (uint64_t chunk = 0; chunk < end; chunk = at / PP_CHUNK_BYTES) {
        uint64_t word = pp_load_acq(&pp_chunk_at(arena, chunk)->word), blocks = 1, bytes = PP_CHUNK_BYTES;
        if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE && pp_run_fits(arena, chunk, word)) {
            bytes = PP_CHUNK_VALUE(word) * PP_CHUNK_BYTES;
        } else if (word != PP_CHUNK_UNUSED && word <= PP_CLASSES) {
            blocks = pp_class_blocks((unsigned)word - 1);
            bytes = pp_class_bytes((unsigned)word - 1);
        } else {
            at += bytes; /* unused, or claimed by the dead */
            continue;
        }
        for (uint64_t i = 0; i < blocks; i++, at += bytes) {
            if (!(pp_load_acq(&pp_words_of(arena, chunk)[i]) & PP_BLOCK_HELD(holder))) continue;
            discard(arena, free_from, at - free_from);
            free_from = at + bytes;
        }
    }
    discard(arena, free_from, at - free_from);
}

#else

void pp_block_discard(const pp_arena *arena, pp_descriptor block) {
    (void)arena;
    (void)block;
}

void pp_arena_discard(const pp_arena *arena, unsigned holder) {
    (void)arena;
    (void)holder;
}

#endif
