/* parts.h - where the elements of a slot lie that holds several.
 *
 * The first is as in any slot: the head is its head, and the body begins with its payload.  Those behind it
 * have no head of their own: they are of the same kind and lane, their index is the next one, and they have
 * no further dimensions and no references.  An inline payload has its length before it, in one byte; a
 * reference of an in-process queue is a pointer and needs none.
 *
 *     body, inline:   payload 0 | length 1, payload 1 | length 2, payload 2 | ...
 *     body, objects:  value 0 | value 1 | ... (value 0 | index, where there are further dimensions)
 *
 * What is published is never changed: whoever adds writes behind it.  Which of them are published and which
 * taken says the slot's word (ring.h).  Lengths that would lead out of the body are refused.
 */
#ifndef PP_PARTS_H
#define PP_PARTS_H

#include <string.h>

#include "layout.h"

#define PP_POINTER_BYTES (uint32_t)sizeof(void *)

/* What a producer knows of the slot that it published last. */
typedef struct pp_tip {
    uint64_t index0; /* of the next element, if it is to go there */
    uint32_t used;   /* bytes of the body */
    uint16_t lane;
    uint8_t kind;
    bool open; /* whether others may follow what is there */
} pp_tip;

/* Whether an element may share a slot with others. */
static inline bool pp_head_is_plain(const pp_head *head) {
    return head->depth == 1 && head->refs == 0 && (head->kind == PP_INLINE || head->kind == PP_OBJECT);
}

static inline bool pp_tip_has_room(const pp_tip *tip, uint32_t nbytes) {
    return tip->used + nbytes + (tip->kind == PP_INLINE) <= PP_BODY_BYTES;
}

/* Whether an element that may share a slot can follow those in the slot of the tip. */
static inline bool pp_tip_admits(const pp_tip *tip, const pp_head *place, uint8_t kind, uint32_t nbytes) {
    return tip->open && place->index0 == tip->index0 && place->lane == tip->lane && kind == tip->kind &&
           pp_tip_has_room(tip, nbytes);
}

/* An element was written into a fresh slot. */
static inline void pp_tip_begin(pp_tip *tip, const pp_head *head, uint32_t nbytes) {
    tip->index0 = head->index0 + 1;
    tip->used = nbytes;
    tip->lane = head->lane;
    tip->kind = head->kind;
    tip->open = pp_head_is_plain(head);
}

/* Room for the payload of the element that is added. */
static inline unsigned char *pp_tip_add(pp_tip *tip, unsigned char *body, uint32_t nbytes) {
    unsigned char *room = body + tip->used;
    if (tip->kind == PP_INLINE) *room++ = (unsigned char)nbytes;
    tip->used = (uint32_t)(room - body) + nbytes;
    tip->index0++;
    return room;
}

/* memcpy for a payload: most are of a few bytes, and the call would cost more than the copy.  A number is a tag of
 * one byte with 1, 2, 4 or 8 bytes behind it, written just before: copied as it was written, it goes from store to
 * load without a stall. */
static inline void pp_copy_payload(unsigned char *to, const void *payload, uint32_t nbytes) {
    const unsigned char *from = payload;
    if (nbytes == PP_POINTER_BYTES) {
        memcpy(to, from, PP_POINTER_BYTES);
        return;
    }
    if (nbytes == 0) return;
    *to++ = *from++;
    nbytes--;
    if (nbytes > 16) {
        memcpy(to, from, nbytes);
    } else if (nbytes >= 8) { /* here and below: two halves, which may overlap */
        memcpy(to, from, 8);
        memcpy(to + nbytes - 8, from + nbytes - 8, 8);
    } else if (nbytes >= 4) {
        memcpy(to, from, 4);
        memcpy(to + nbytes - 4, from + nbytes - 4, 4);
    } else if (nbytes != 0) {
        to[0] = from[0];
        to[nbytes - 1] = from[nbytes - 1];
        to[nbytes / 2] = from[nbytes / 2];
    }
}

/* Write the first element of a slot. */
static inline void pp_slot_begin(pp_slot *slot, const pp_head *head, const void *payload, uint32_t nbytes) {
    slot->head = *head;
    pp_copy_payload(slot->body.bytes, payload, nbytes);
}

/* Write one more behind those that the tip knows of. */
static inline void pp_slot_add(pp_slot *slot, pp_tip *tip, const void *payload, uint32_t nbytes) {
    pp_copy_payload(pp_tip_add(tip, slot->body.bytes, nbytes), payload, nbytes);
}

/* A slot that is being filled where nobody sees it yet, from a source that never waits. */
typedef struct pp_pack {
    pp_slot slot;  /* its word is not used */
    pp_head first; /* of the first element */
    pp_tip tip;
    uint32_t count; /* elements in it */
} pp_pack;

/* The first element will have this index and kind, and one dimension. */
static inline void pp_pack_begin(pp_pack *pack, const pp_head *first) {
    pack->first = *first;
    pp_tip_begin(&pack->tip, first, 0);
    pack->count = 0;
}

/* Take one more element in, of so many payload bytes; false when there is no room for it. */
static inline bool pp_pack_add(pp_pack *pack, const void *payload, uint32_t nbytes) {
    if (pack->count == 0) {
        pack->first.nbytes = (uint16_t)nbytes;
        pack->tip.used = nbytes;
        pp_slot_begin(&pack->slot, &pack->first, payload, nbytes);
    } else {
        if (pack->count == PP_PARTS || !pp_tip_has_room(&pack->tip, nbytes)) return false;
        pp_slot_add(&pack->slot, &pack->tip, payload, nbytes);
    }
    pack->count++;
    return true;
}

/* Where in a body a reader is that takes one element after the other: zeros before the first. */
typedef struct pp_cursor {
    uint32_t part;
    uint32_t begin, end; /* of its payload */
} pp_cursor;

/* Move a cursor on to an element of a slot; where its payload is, or NULL when the slot is damaged. */
static inline const unsigned char *pp_part_at(const pp_head *head, const unsigned char *body, uint32_t part,
                                              pp_cursor *cursor, uint32_t *nbytes) {
    const bool objects = head->kind == PP_OBJECT;
    if (cursor->end == 0) {
        if (part != 0 && !pp_head_is_plain(head)) return NULL;
        cursor->end = objects ? PP_POINTER_BYTES : head->nbytes;
    }
    while (cursor->part < part) {
        uint32_t at = cursor->end;
        if (!objects && at >= PP_BODY_BYTES) return NULL;
        uint32_t length = objects ? PP_POINTER_BYTES : body[at++];
        if (at + length > PP_BODY_BYTES) return NULL;
        *cursor = (pp_cursor){cursor->part + 1, at, at + length};
    }
    *nbytes = cursor->end - cursor->begin;
    return body + cursor->begin;
}

/* The same for one element. */
static inline const unsigned char *pp_part(const pp_head *head, const unsigned char *body, uint32_t part,
                                           uint32_t *nbytes) {
    pp_cursor cursor = {0, 0, 0};
    return pp_part_at(head, body, part, &cursor, nbytes);
}

/* An element of a slot as one that has a slot to itself; false when the slot is damaged. */
static inline bool pp_part_copy(pp_slot *to, const pp_slot *from, uint32_t part, pp_cursor *cursor) {
    to->head = from->head;
    if (part == 0) {
        to->body = from->body;
        return true;
    }
    uint32_t nbytes;
    const unsigned char *payload = pp_part_at(&from->head, from->body.bytes, part, cursor, &nbytes);
    if (payload == NULL) return false;
    to->head.nbytes = (uint16_t)nbytes;
    to->head.index0 += part;
    pp_copy_payload(to->body.bytes, payload, nbytes);
    return true;
}

#endif
