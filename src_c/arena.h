/* arena.h - blocks of shared memory for payloads that do not fit a slot, reused and never moved.
 *
 * The arena is cut into chunks of PP_CHUNK_BYTES.  A chunk is either unused, cut into blocks of one
 * size class (powers of two from PP_BLOCK_MIN), or part of a run of whole chunks for one large block.
 * Every block has one atomic word; free means zero.  There is no free list, so there is nothing that
 * a death in the middle of a step can corrupt:
 *
 *   allocate   compare-and-swap 0 -> (owner, 0 travelling), found by the caller's next-fit hint
 *   publish    the block now also travels: add 1 for each slot that will name it, clear the owner
 *   release    subtract 1; the last one leaves zero, the block is free
 *   repair     words still owned by the dead (allocated, not yet published) go to zero
 *
 * Word: bits 0..15 count of slots and leases the block travels in, bits 16..31 owner (0: none), bits
 * 32..63 the processes that hold it, see holding.h.
 * Chunk words: 0 unused; class + 1 when cut; PP_CHUNK_LARGE | count for the first chunk of a large
 * block; PP_CHUNK_TAIL | the first for those behind it; PP_CHUNK_CLAIMED | owner while a run is being
 * claimed, so that repair can give a half-claimed run back.
 *
 * Reuse matters because the first touch of a fresh page costs 10 to 30 times as much as copying into
 * a warm one: searching starts at the lowest blocks that were used before.  Pages are reserved
 * (pp_segment_reserve) before a chunk is used for the first time, so that memory that is not there is
 * PP_NOMEM and never a bus error.
 */
#ifndef PP_ARENA_H
#define PP_ARENA_H

#include <stdbool.h>

#include "layout.h"
#include "segment.h"

#define PP_CHUNK_BYTES ((uint64_t)1 << 20)
#define PP_BLOCK_MIN ((uint64_t)256)
#define PP_CLASSES 12 /* 256 B .. 512 KiB; larger blocks are runs of whole chunks */

/* Three zones, from the front: the common one, where anything may lie; one for large blocks alone, of which a few
 * would fill the common one; and the spare: what lies there is copied out by who receives it and never held. Where
 * holders keep so much, or blocks so scattered, that there is no room for an element in front, it goes to the
 * spare, and room comes by progress alone.  No block lies in two zones.  See docs/design/arenas.md. */
#define PP_LARGE_SHARE 16 /* a block that takes more than one of so many parts of the common zone is large */
#define PP_LARGE_MORE 4   /* and has room for so many of its size in the zone behind, while that has it */

typedef struct pp_arena_header pp_arena_header; /* in shared memory, at the segment's start */

/* One participant's handle; never shared between threads without a lock (the GIL does). */
typedef struct pp_arena {
    pp_segment *segment;
    pp_arena_header *header;
    /* Checked once and kept here: what the header says later is not believed. */
    uint64_t chunks;             /* all of them */
    uint64_t common;             /* those in which anything may lie */
    uint64_t holdable;           /* those before the spare */
    uint64_t words_offset;
    uint64_t payload_offset;
    bool poisons;                /* what is freed is overwritten: for finding who still looks at it */
    uint16_t owner;              /* 1..65535, unique in the run */
    uint64_t from, until;        /* the chunks in which to allocate at this moment */
    uint64_t hint[PP_CLASSES];   /* next-fit: where the last allocation of the class succeeded */
} pp_arena;

/* What blocks are overwritten with when they are freed, in an arena that poisons. */
#define PP_POISON 0xDB

/* Bytes of segment that an arena of `capacity` payload bytes needs, header and words included. */
uint64_t pp_arena_segment_bytes(uint64_t capacity);

/* Lay out an arena in a fresh (zeroed) segment.  PP_OK, PP_NOMEM or PP_OSERROR. */
int pp_arena_create(pp_segment *segment, uint64_t capacity);

/* Bytes of the zones, all whole numbers of chunks. */
typedef struct pp_zones {
    uint64_t common, large, spare;
} pp_zones;

/* The same with all zones; the segment has room for their sum. */
int pp_arena_create_zones(pp_segment *segment, pp_zones zones, bool poisons);

/* Open a handle on an arena that pp_arena_create made.  PP_OK or PP_CORRUPT. */
int pp_arena_open(pp_arena *arena, pp_segment *segment, uint16_t owner);

/* Allocate a block of at least nbytes.  On PP_OK *out names it and it is owned by arena->owner.
 * PP_FULL: no room now, room may come when blocks are released.  The answer is premature while another
 * participant rearranges the last free chunk: who waits tries again within milliseconds, woken or not.
 * PP_NOMEM: the system has no memory; PP_TOOBIG: would not fit an empty arena. */
int pp_arena_allocate(pp_arena *arena, uint64_t nbytes, pp_descriptor *out);

/* The same in the spare. */
int pp_arena_spill(pp_arena *arena, uint64_t nbytes, pp_descriptor *out);

/* The bytes of a block.  NULL when the descriptor does not name one (then memory is corrupt). */
void *pp_arena_bytes(const pp_arena *arena, pp_descriptor block);

/* An owned block starts to travel in `count` slots (1 or more); it is owned by nobody then. */
int pp_arena_publish(pp_arena *arena, pp_descriptor block, uint32_t count);

/* One more slot or lease carries a travelling block. */
int pp_arena_retain(pp_arena *arena, pp_descriptor block);

/* One slot or lease less; or, when the block is still owned by arena->owner, give it back. Who is the
 * last, with nobody holding it, frees it. */
int pp_arena_release(pp_arena *arena, pp_descriptor block);

/* Free everything that `dead` had allocated or half-claimed and not published. Returns the number of
 * blocks freed.  Only after the owner is proven dead. */
uint64_t pp_arena_repair(pp_arena *arena, uint16_t dead);

/* Where the zones end in which a block of nbytes may lie and be held, in bytes from the front. */
uint64_t pp_arena_holdable_for(const pp_arena *arena, uint64_t nbytes);

/* Figures: any pointer may be NULL.  A walk over all words; for statistics and tests. */
void pp_arena_usage(const pp_arena *arena, uint64_t *capacity, uint64_t *blocks_in_use,
                    uint64_t *bytes_in_use, uint64_t *bytes_reserved);

#endif
