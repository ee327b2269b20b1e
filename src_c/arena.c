/* arena.c - allocating, publishing and releasing the blocks of an arena.
 *
 * Called by any participant with its own handle, from one thread at a time.  What a block and a chunk
 * word mean is in arena.h; how chunks change is in arena_chunks.c; repair is in arena_repair.c.
 *
 * Invariants:
 *   - A block word is changed from zero by a compare-and-swap only, and while it names an owner, by
 *     that owner only (by repair, when the owner is dead).
 *   - A chunk is not cut anew while one of its blocks is in use.  Who has taken a block looks at the
 *     chunk again: when it still has the class that was looked for, the block is right and stays so.
 *
 * Memory order: the release that frees a block pairs with the acquire of the swap that takes it, so the
 * next user's writes come after the last user's reads.  Publishing releases what was written into
 * the block; the slot that carries the descriptor does so as well.  Releasing and searching are
 * sequentially consistent where pp_chunk_note_freed says why.
 *
 * What a death leaves, step by step:
 *   allocate   after the swap       a block owned by the dead: repair frees it
 *   publish    one store            owned, or travelling; the slot or lease that carries it says which
 *   release    after the swap       the block is free but the chunk's hint may not say so: repair sets
 *                                   every hint
 *   search     LOOKING stays        not zero, so others search the chunk as well
 */
#include "arena_chunks.h"

#include <string.h>

#define MAGIC UINT64_C(0x31616e6572617070) /* "pparena1" */

/* A fresh handle has no place to go on from. */
#define NO_HINT UINT64_MAX

/* Words looked at from the private hint on before the chunk is searched as a whole: four lines, enough to
 * pass the few blocks that consumers released out of order. */
#define PROBES 32

/* Handles start this many words apart, so that their claims and releases are on different lines. */
#define SPREAD 64

static uint64_t round_up(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/* Pages of 64 KiB exist (arm64, ppc64); parts that start on such a boundary can be reserved alone. */
#define PART_ALIGN UINT64_C(65536)

static uint64_t chunks_for(uint64_t capacity) {
    return capacity == 0 ? 1 : (capacity - 1) / PP_CHUNK_BYTES + 1;
}

static uint64_t words_offset_for(uint64_t chunks) {
    return round_up(sizeof(pp_arena_header) + chunks * sizeof(pp_chunk), PART_ALIGN);
}

static uint64_t payload_offset_for(uint64_t chunks) {
    return round_up(words_offset_for(chunks) + chunks * PP_WORDS_MAX * sizeof(pp_a64), PART_ALIGN);
}

uint64_t pp_arena_segment_bytes(uint64_t capacity) {
    uint64_t chunks = chunks_for(capacity);
    return payload_offset_for(chunks) + chunks * PP_CHUNK_BYTES;
}

int pp_arena_create(pp_segment *segment, uint64_t capacity) {
    return pp_arena_create_zones(segment, (pp_zones){chunks_for(capacity) * PP_CHUNK_BYTES, 0, 0}, false);
}

int pp_arena_create_zones(pp_segment *segment, pp_zones zones, bool poisons) {
    uint64_t capacity = zones.common + zones.large + zones.spare, chunks = chunks_for(capacity);
    if (segment->nbytes < pp_arena_segment_bytes(capacity)) return PP_CORRUPT;
    int status = pp_segment_reserve(segment, 0, sizeof(pp_arena_header) + chunks * sizeof(pp_chunk));
    if (status != PP_OK) return status;
    pp_arena_header *header = (pp_arena_header *)segment->base;
    header->chunks = chunks;
    header->words_offset = words_offset_for(chunks);
    header->payload_offset = payload_offset_for(chunks);
    header->common = chunks_for(zones.common);
    header->holdable = chunks_for(zones.common + zones.large);
    header->poisons = poisons;
    header->magic = MAGIC;
    return PP_OK;
}

int pp_arena_open(pp_arena *arena, pp_segment *segment, uint16_t owner) {
    if (segment->base == NULL || segment->nbytes < sizeof(pp_arena_header) || owner == 0) return PP_CORRUPT;
    pp_arena_header *header = (pp_arena_header *)segment->base;
    uint64_t chunks = header->chunks, words = header->words_offset, payload = header->payload_offset;
    uint64_t common = header->common, holdable = header->holdable;
    if (header->magic != MAGIC || chunks == 0 || chunks > segment->nbytes / PP_CHUNK_BYTES || common == 0 ||
        common > holdable || holdable > chunks || words != words_offset_for(chunks) ||
        payload != payload_offset_for(chunks) || segment->nbytes < payload + chunks * PP_CHUNK_BYTES)
        return PP_CORRUPT;
    arena->segment = segment;
    arena->header = header;
    arena->chunks = chunks;
    arena->common = common;
    arena->holdable = holdable;
    arena->poisons = header->poisons != 0;
    arena->from = 0;
    arena->until = common;
    arena->words_offset = words;
    arena->payload_offset = payload;
    arena->owner = owner;
    for (unsigned cls = 0; cls < PP_CLASSES; cls++) arena->hint[cls] = NO_HINT;
    return PP_OK;
}

/* ---- allocating ---- */

static unsigned class_of(uint64_t nbytes) {
    unsigned cls = 0;
    while (pp_class_bytes(cls) < nbytes) cls++;
    return cls;
}

/* Take the block if it is free and the chunk still has that class. */
static bool take(const pp_arena *arena, uint64_t chunk, uint64_t index, unsigned cls) {
    pp_a64 *word = &pp_words_of(arena, chunk)[index];
    uint64_t expected = 0;
    if (pp_load_seq(word) != 0 || !pp_cas64(word, &expected, PP_BLOCK_OWNED(arena->owner))) return false;
    if (pp_load_acq(&pp_chunk_at(arena, chunk)->word) == cls + 1) return true;
    pp_block_free(arena, chunk, index); /* cut anew between our look and our swap */
    return false;
}

/* Go on from where the last allocation of the class succeeded. */
static bool take_next(pp_arena *arena, unsigned cls, uint64_t *chunk, uint64_t *index) {
    uint64_t hint = arena->hint[cls];
    if (hint == NO_HINT) return false;
    uint64_t mask = pp_class_blocks(cls) - 1, at = hint / PP_WORDS_MAX;
    if (at < arena->from || at >= arena->until) return false;
    if (pp_load_acq(&pp_chunk_at(arena, at)->word) != cls + 1) return false;
    uint64_t probes = mask < PROBES ? mask + 1 : PROBES;
    for (uint64_t i = hint % PP_WORDS_MAX; probes-- > 0; i++) {
        if (!take(arena, at, i & mask, cls)) continue;
        *chunk = at;
        *index = i & mask;
        return true;
    }
    return false;
}

/* Search all of a chunk.  When nothing is free, its `freed` says so until something is. */
static bool take_in_chunk(const pp_arena *arena, uint64_t at, unsigned cls, uint64_t *index) {
    pp_chunk *chunk = pp_chunk_at(arena, at);
    uint64_t freed = pp_load_rlx(&chunk->freed); /* only a hint: the words decide */
    if (freed == 0) return false;
    uint64_t mask = pp_class_blocks(cls) - 1;
    uint64_t start = freed & PP_FREED_LOOKING ? 0 : freed - 1;
    if (arena->hint[cls] == NO_HINT) start = (uint64_t)arena->owner * SPREAD;
    uint64_t looking = PP_FREED_LOOKING | arena->owner;
    pp_store_seq(&chunk->freed, looking);
    for (uint64_t i = start; i <= start + mask; i++) {
        if (!take(arena, at, i & mask, cls)) continue;
        pp_store_rel(&chunk->freed, ((i + 1) & mask) + 1);
        *index = i & mask;
        return true;
    }
    /* Fails when a block was freed meanwhile, or when somebody else is looking and will decide. */
    pp_cas64(&chunk->freed, &looking, 0);
    return false;
}

/* Search the chunks of a class, the lowest first. */
static bool take_anywhere(const pp_arena *arena, unsigned cls, uint64_t *chunk, uint64_t *index) {
    uint64_t end = pp_zone_end(arena);
    for (uint64_t at = arena->from; at < end; at++) {
        if (pp_load_acq(&pp_chunk_at(arena, at)->word) != cls + 1) continue;
        if (!take_in_chunk(arena, at, cls, index)) continue;
        *chunk = at;
        return true;
    }
    return false;
}

/* The steps of an allocation when the hint did not help, from the cheapest to the last resort. */
static int take_block(pp_arena *arena, unsigned *cls, uint64_t *chunk, uint64_t *index) {
    if (take_anywhere(arena, *cls, chunk, index)) return PP_OK;
    int status;
    do {
        status = pp_chunks_cut(arena, *cls, chunk);
        /* Others may be quicker to use up what was just cut or reclaimed: then try again. */
        if (status == PP_OK && take_in_chunk(arena, *chunk, *cls, index)) return PP_OK;
    } while (status == PP_OK || pp_chunks_reclaim(arena, false));
    for (unsigned larger = *cls + 1; larger < PP_CLASSES; larger++) {
        if (!take_anywhere(arena, larger, chunk, index)) continue;
        *cls = larger;
        return PP_OK;
    }
    return status;
}

/* The end of the chunks in front in which a run of so many may lie. */
static uint64_t end_for_run(const pp_arena *arena, uint64_t count) {
    if (count <= arena->common / PP_LARGE_SHARE) return arena->common;
    uint64_t more = arena->holdable - arena->common;
    return arena->common + (count * PP_LARGE_MORE < more ? count * PP_LARGE_MORE : more);
}

uint64_t pp_arena_holdable_for(const pp_arena *arena, uint64_t nbytes) {
    return end_for_run(arena, chunks_for(nbytes)) * PP_CHUNK_BYTES;
}

static int take_run(pp_arena *arena, uint64_t nbytes, uint64_t *chunk) {
    uint64_t count = chunks_for(nbytes), until = arena->until;
    if (count > until - arena->from) return PP_TOOBIG;
    if (arena->from == 0) arena->until = end_for_run(arena, count);
    int status = pp_chunks_take_run(arena, count, chunk);
    if (status != PP_OK && pp_chunks_reclaim(arena, true)) status = pp_chunks_take_run(arena, count, chunk);
    arena->until = until;
    return status;
}

int pp_arena_allocate(pp_arena *arena, uint64_t nbytes, pp_descriptor *out) {
    uint64_t chunk, index = 0, block_bytes = PP_CHUNK_BYTES;
    if (nbytes > PP_CHUNK_BYTES / 2) {
        int status = take_run(arena, nbytes, &chunk);
        if (status != PP_OK) return status;
    } else {
        unsigned cls = class_of(nbytes);
        if (!take_next(arena, cls, &chunk, &index)) {
            int status = take_block(arena, &cls, &chunk, &index);
            if (status != PP_OK) return status;
        }
        arena->hint[cls] = chunk * PP_WORDS_MAX + ((index + 1) & (pp_class_blocks(cls) - 1));
        block_bytes = pp_class_bytes(cls);
    }
    out->offset = chunk * PP_CHUNK_BYTES + index * block_bytes;
    out->nbytes = nbytes;
    return PP_OK;
}

int pp_arena_spill(pp_arena *arena, uint64_t nbytes, pp_descriptor *out) {
    arena->from = arena->holdable;
    arena->until = arena->chunks;
    int status = arena->from == arena->until ? PP_FULL : pp_arena_allocate(arena, nbytes, out);
    arena->from = 0;
    arena->until = arena->common;
    return status;
}

/* ---- blocks ---- */

bool pp_block_locate(const pp_arena *arena, pp_descriptor block, uint64_t *chunk, uint64_t *index) {
    uint64_t at = block.offset / PP_CHUNK_BYTES, within = block.offset % PP_CHUNK_BYTES;
    if (at >= arena->chunks) return false;
    uint64_t word = pp_load_acq(&pp_chunk_at(arena, at)->word);
    *chunk = at;
    if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE) {
        *index = 0;
        return within == 0 && pp_run_fits(arena, at, word) &&
               block.nbytes <= PP_CHUNK_VALUE(word) * PP_CHUNK_BYTES;
    }
    if (word == PP_CHUNK_UNUSED || word > PP_CLASSES) return false;
    uint64_t bytes = pp_class_bytes((unsigned)word - 1);
    *index = within / bytes;
    return within % bytes == 0 && block.nbytes <= bytes;
}

void *pp_arena_bytes(const pp_arena *arena, pp_descriptor block) {
    uint64_t chunk, index;
    if (!pp_block_locate(arena, block, &chunk, &index)) return NULL;
    return arena->segment->base + arena->payload_offset + block.offset;
}

int pp_arena_publish(pp_arena *arena, pp_descriptor block, uint32_t count) {
    uint64_t chunk, index;
    if (!pp_block_locate(arena, block, &chunk, &index) || count == 0 || count > PP_BLOCK_COUNT_MAX)
        return PP_CORRUPT;
    pp_a64 *word = &pp_words_of(arena, chunk)[index];
    /* Relaxed: while it names us, only we write it. */
    if (pp_load_rlx(word) != PP_BLOCK_OWNED(arena->owner)) return PP_CORRUPT;
    pp_store_rel(word, count);
    return PP_OK;
}

int pp_arena_retain(pp_arena *arena, pp_descriptor block) {
    uint64_t chunk, index;
    if (!pp_block_locate(arena, block, &chunk, &index)) return PP_CORRUPT;
    pp_a64 *word = &pp_words_of(arena, chunk)[index];
    uint64_t seen = pp_load_acq(word);
    do {
        if (PP_BLOCK_COUNT(seen) == 0) return PP_CORRUPT;
        if (PP_BLOCK_COUNT(seen) == PP_BLOCK_COUNT_MAX) return PP_FULL;
    } while (!pp_cas64(word, &seen, seen + 1));
    return PP_OK;
}

int pp_arena_release(pp_arena *arena, pp_descriptor block) {
    uint64_t chunk, index;
    if (!pp_block_locate(arena, block, &chunk, &index)) return PP_CORRUPT;
    pp_a64 *word = &pp_words_of(arena, chunk)[index];
    uint64_t seen = pp_load_acq(word), left;
    do {
        if (seen == PP_BLOCK_OWNED(arena->owner))
            left = 0;
        else if (PP_BLOCK_COUNT(seen) == 0)
            return PP_CORRUPT;
        else
            left = seen - 1;
    } while (!pp_cas64_seq(word, &seen, pp_block_left(arena, left)));
    if (left == 0) pp_block_note_left(arena, chunk, index);
    return PP_OK;
}

void pp_block_poison(const pp_arena *arena, uint64_t chunk, uint64_t index) {
    uint64_t word = pp_load_acq(&pp_chunk_at(arena, chunk)->word), block_bytes;
    if (PP_CHUNK_STATE(word) == PP_CHUNK_LARGE)
        block_bytes = PP_CHUNK_VALUE(word) * PP_CHUNK_BYTES;
    else
        block_bytes = pp_class_bytes((unsigned)word - 1);
    unsigned char *base = arena->segment->base + arena->payload_offset + chunk * PP_CHUNK_BYTES;
    memset(base + index * block_bytes, PP_POISON, block_bytes);
}
