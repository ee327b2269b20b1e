/* layout.h - sizes and shapes that every part of the core, and both sides of a queue, agree on.
 *
 * An element travels as one slot: a head that says where it came from, and a body that either holds
 * its payload or says in which block of the arena the payload lies.
 */
#ifndef PP_LAYOUT_H
#define PP_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "atomics.h"

/* Two lines: adjacent-line prefetch of x86 and the 128-byte lines of Apple's arm64 both make
 * neighbours share.  Fields with different writers stay this far apart. */
#define PP_FAR 128

#define PP_SLOT_BYTES 64
#define PP_BODY_BYTES 40

/* The most dimensions an element_index may have: one for the source, one for each flat_map. */
#define PP_MAX_DEPTH 16

/* The most elements that a slot holds. The place of one is position << PP_PART_BITS | which of the slot's it is. */
#define PP_PARTS 8u
#define PP_PART_BITS 4
#define PP_PART_MASK ((1u << PP_PART_BITS) - 1)

/* Where a slot's payload is.  It is the further dimensions of the index, 8 bytes each, a pp_reference
 * for each block that the value refers to, and then the encoded value. */
enum pp_kind {
    PP_INLINE = 0, /* nbytes of it in the body */
    PP_BLOCK = 1,  /* in the arena; the body is a pp_descriptor */
    PP_OBJECT = 2, /* in-process queues: references in the body */
};
/* Or'ed to the kind: this is no element. The value is a count: the element at this index has so many
 * children, all told. Only sent when an `ordered` stage downstream needs it. */
#define PP_END 0x80

/* Where an element came from.  index[0] is its position in the source. */
typedef struct pp_head {
    uint16_t nbytes;  /* payload bytes in the body (PP_INLINE) */
    uint16_t refs;    /* blocks that the payload refers to, beside the one that it may lie in */
    uint8_t kind;     /* enum pp_kind, perhaps with PP_END */
    uint8_t depth;    /* dimensions of the index, 1..PP_MAX_DEPTH */
    uint16_t lane;    /* which path through a concat, for `ordered`; 0 without one */
    uint64_t index0;  /* index[0]; the further dimensions lead the payload, 8 bytes each */
} pp_head;

/* Names a block of the arena from inside a slot.  Checked against the mapping before use. */
typedef struct pp_descriptor {
    uint64_t offset; /* of the block, from the arena's base */
    uint64_t nbytes; /* of payload in it */
} pp_descriptor;

/* Names a block of any arena of the run from inside a payload. */
typedef struct pp_reference {
    uint64_t offset; /* of the block, from its arena's base */
    uint32_t arena;  /* which one */
    uint32_t flags;  /* PP_READ_ONLY */
} pp_reference;

/* Several receivers see the block: nobody may write to it any more. */
#define PP_READ_ONLY 1u

typedef struct pp_slot {
    pp_a64 word; /* sequence | owner | state, see ring.h */
    pp_head head;
    union {
        unsigned char bytes[PP_BODY_BYTES];
        pp_descriptor block;
        struct {
            void *value; /* PyObject *, owned by the slot */
            void *index; /* PyObject * of further dimensions, or NULL */
        } object;
    } body;
} pp_slot;

_Static_assert(sizeof(pp_head) == 16, "the head is two words");
_Static_assert(sizeof(pp_slot) == PP_SLOT_BYTES, "a slot is one cache line");
_Static_assert(offsetof(pp_slot, body) == 24, "the body follows the head");

/* Status codes of every call of the core: what happened, never how many. */
enum pp_status {
    PP_OK = 0,
    PP_EMPTY = 1,   /* nothing to take now */
    PP_FULL = 2,    /* no room now */
    PP_CLOSED = 3,  /* every producer has closed and nothing is left */
    PP_ABORTED = 4, /* the run was aborted */
    PP_TIMEOUT = 5, /* the given time passed */
    PP_SIGNAL = 6,  /* a signal arrived while waiting: let Python look at it */
    PP_NOMEM = 7,   /* no memory could be reserved */
    PP_TOOBIG = 8,  /* larger than the whole arena */
    PP_CORRUPT = 9, /* shared memory holds what no participant writes */
    PP_OSERROR = 10 /* see errno */
};

#endif
