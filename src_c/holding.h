/* holding.h - processes that hold blocks of an arena, look into them, and lend them on.
 *
 * A payload is read out of its block and the block released; an array is looked at where it lies, for as
 * long as somebody has it.  So beside the slots and leases that a block travels in (arena.h) its word has
 * a bit for each process that *holds* it: one bit however many views there are, which the process counts
 * for itself.  The block is free when the whole word is zero.
 *
 *   hold     set the bit of this process: while the block travels towards it, is allocated by it, or is held
 *   drop     clear it; the last one frees the block
 *   lend     a held block travels once more: count + 1 and, in the same step, the lender's mark
 *   lent     the slot that refers to it is published: the mark goes
 *   return   it was not: count - 1, and the mark goes
 *   leave    mark a block that is about to be returned, while a lease still says who has it
 *
 * The mark is the owner field of a word that also has a count or holders.  It is what a death in the
 * middle leaves to be seen: pp_arena_settle undoes the step, or lets it stand, as the dead's lease says
 * (pp_lease_undoes).  There is room for one mark.  Who lends takes it over: whoever left it there has, but for a
 * rare exception, sent what it lent, or the block would not be here, and has only not come to say so.  A
 * `leave` that finds a mark does without its own.  A death in such a moment is a block that stays until the
 * run ends, never one that is free too early.
 *
 * Each step is one compare-and-swap.  Memory order: dropping and returning release what was read and
 * written in the block; the swap that allocates it acquires (arena.c).
 */
#ifndef PP_HOLDING_H
#define PP_HOLDING_H

#include "arena.h"

#define PP_HOLDERS 32 /* processes that can hold blocks of one arena */

/* What has happened to large buffers on their way through an arena: elements of pp_arena_header.figures. */
enum pp_figure {
    PP_COPIED_IN = 0,   /* from memory that is not shared */
    PP_COPIED_HELD = 1, /* somebody else could still write to it */
    PP_COPIED_BUSY = 2, /* it is lent too often already, or overlaps another part of the same element */
    PP_LENT = 3,        /* passed on as a reference */
    PP_VIEWED = 4,      /* received as a view */
    PP_COPIED_OUT = 5,  /* received as a copy: too much was held, or the arena was full */
    PP_BORN = 6,        /* allocated in the arena to begin with */
    PP_COPIED_TYPE = 7, /* received as a copy: bytes have memory of their own, tensors cannot be read-only */
    PP_FIGURES = 16 /* pairs of count and bytes */
};

/* The block in which a range of the arena lies: where it begins and how large it is.
 * PP_OK, or PP_CORRUPT when no block contains it. */
int pp_block_at(const pp_arena *arena, uint64_t offset, uint64_t nbytes, pp_descriptor *block);

int pp_block_hold(const pp_arena *arena, pp_descriptor block, unsigned holder);
/* *freed: nobody has it any more. */
int pp_block_drop(const pp_arena *arena, pp_descriptor block, unsigned holder, bool *freed);
/* PP_OK, PP_FULL when there are too many references, PP_CORRUPT when it is not held. */
int pp_block_lend(const pp_arena *arena, pp_descriptor block, unsigned holder, uint16_t lender);
int pp_block_lent(const pp_arena *arena, pp_descriptor block, uint16_t lender);
int pp_block_return(const pp_arena *arena, pp_descriptor block, uint16_t lender, bool *freed);
/* PP_OK or PP_FULL. */
int pp_block_leave(const pp_arena *arena, pp_descriptor block, uint16_t leaver);

/* May this process hold so many bytes more?  Then they are counted, until pp_arena_unhold. What all hold
 * together stays below `limit`, and while somebody finds no room nobody holds more. */
bool pp_arena_may_hold(pp_arena *arena, unsigned holder, uint64_t nbytes, uint64_t limit);
void pp_arena_unhold(pp_arena *arena, unsigned holder, uint64_t nbytes);

/* Whether any process holds anything. */
bool pp_arena_is_held(const pp_arena *arena);

/* Somebody found no room (true), or has found some. */
void pp_arena_press(pp_arena *arena, bool pressed);

/* Count buffers: one, or several of nbytes together. */
void pp_arena_note(pp_arena *arena, int figure, uint64_t nbytes);
void pp_arena_note_many(pp_arena *arena, int figure, uint64_t count, uint64_t nbytes);
void pp_arena_figure(const pp_arena *arena, int figure, uint64_t *count, uint64_t *nbytes);

/* After a process is proven dead: undo what it was lending or leaving, or let it stand, and clear its bit
 * everywhere (holder < 0: it had none).  Before pp_arena_repair. May be interrupted and called again. */
void pp_arena_settle(pp_arena *arena, uint16_t dead, int holder, bool undo);

/* ---- after the run (arena_discard.c) ---- */

/* Nobody else is left and nobody allocates any more: give the memory of all blocks back that this process does
 * not hold. */
void pp_arena_discard(const pp_arena *arena, unsigned holder);
/* After that: it does not hold this one any more either. */
void pp_block_discard(const pp_arena *arena, pp_descriptor block);

#endif
