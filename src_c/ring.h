/* ring.h - a bounded queue of slots for many producers and many consumers, any of which may die.
 *
 * The slot at position p is slots[p % capacity].  Its word says for which lap it stands (the sequence:
 * p / capacity), how many elements it holds and how many of them are taken, in what state it is, and who
 * holds it:
 *
 *     63            24 23   20 19   16 15        3 2   0
 *     sequence (40)  | count | taken | owner (13) | state
 *
 * Memory full of zeros is an empty ring: a fresh segment needs no page of slots touched.
 *
 *   FREE(p)           waits for the first element of position p
 *   WRITING(p, w)     producer w fills it
 *   READY(p, n, k)    holds n elements, of which the first k are taken; who took the last of them is named
 *   ADDING(p, w, n)   producer w writes one more behind the n that are there, of which none is taken
 *   READING(p, w, n, k)  consumer w takes out the one behind the first k
 *   SKIP(p)           its producer died before it was READY: consumers pass over it
 *
 * The step that takes a slot is one compare-and-swap of this word and writes the owner with it, so
 * after a death it is known exactly which slots the dead held.  Words only move forward:
 * FREE(p) -> WRITING(p) -> READY(p, 1, 0) -> READING(p, 1, 0) -> FREE(p + capacity), or WRITING(p) -> SKIP(p) ->
 * FREE(p + capacity).  `head` and `tail` are hints: whoever finds a slot that is past a hint helps it
 * along, so a death between a claim and the advance of its hint needs no repair.
 *
 * Several elements in a slot.  The claim of a slot costs the transfer of a cache line from the core that used
 * it last, which is as much as ten small elements cost otherwise.  Where nobody counts places
 * (pp_ring_allow_several), a producer may add to the slot that it published last, while none of its elements
 * is taken: READY(p, n, 0) -> ADDING(p, w, n) -> READY(p, n + 1, 0).  Nothing is ever held back to fill a slot: what
 * is in a slot is published, and in a ring that is drained as fast as it fills each slot holds one element.
 *   Nor does whoever takes keep others from the rest: READING(p, w, n, k) -> READY(p, n, k + 1), and the slot
 * moves on to the next lap when its last element is out.  A consumer goes on with the slot that it took from before
 * if nobody else has. Otherwise the oldest element comes first; but in a fast stream a consumer prefers slots that
 * nobody has begun with to those of others, so that each has a line to itself. When there are no such, it takes
 * from theirs: an element that somebody is slow to come to is taken by whoever is idle.  `head` moves past a slot
 * when its last element is being read, never before.
 *   A ring with one consumer (`sole`) has nobody to share with: it takes all that is in a slot with one claim.
 *
 * Source of the slot sequence: D. Vyukov's bounded MPMC queue; there the claim moves a counter and
 * the slot is written afterwards, which a death in between makes unrepairable.  Hence the named claim.
 *
 * Who may call: each handle (pp_port) belongs to one thread.  Memory order: READY and FREE are stored
 * seq_cst, because they are also the waker's half of the park protocol (park.h); claims are acq_rel,
 * so what the previous holder wrote into the slot is seen by the next.
 *
 * capacity is the bound on elements, exactly, where slots hold one: an element holds its slot from the claim
 * of its producer until its consumer has taken it out.
 */
#ifndef PP_RING_H
#define PP_RING_H

#include "lease.h"
#include "park.h"
#include "parts.h"
#include "patience.h"

#define PP_STATE_BITS 3
#define PP_OWNER_BITS 13
#define PP_OWNER_MAX ((1u << PP_OWNER_BITS) - 1)

enum pp_slot_state { PP_FREE = 0, PP_WRITING = 1, PP_READY = 2, PP_READING = 3, PP_SKIP = 4, PP_ADDING = 5 };

typedef struct pp_ring {
    /* Written at creation only. */
    uint64_t magic;
    uint64_t slots_offset; /* from the ring's own address */
    uint32_t capacity;
    uint32_t producers;
    uint32_t wake_below; /* producers are woken when no more than this many slots are in use */
    pp_a32 aborted;
    uint32_t several; /* 1: a slot may hold several elements */
    uint32_t sole; /* 1: one consumer takes from it, and no two ports of consumers are in use at a time */
    unsigned char pad0[PP_FAR - 40];
    pp_a64 tail; /* hint: the next position to claim for writing; producers write it */
    unsigned char pad1[PP_FAR - 8];
    pp_a64 head; /* hint: the next position to claim for reading; consumers write it */
    unsigned char pad2[PP_FAR - 8];
    pp_spot not_empty;
    unsigned char pad3[PP_FAR - sizeof(pp_spot)];
    pp_spot not_full;
    unsigned char pad4[PP_FAR - sizeof(pp_spot)];
    pp_a32 open[]; /* one per producer: 1 until it closes; its own word, so closing twice is closing once */
} pp_ring;

/* A slot that a port may go on with, if nobody else has changed it. */
typedef struct pp_recent {
    pp_slot *slot;
    uint64_t position;
    uint64_t word; /* as this port left it; 0: not to be gone on with */
} pp_recent;

/* One worker's end of a ring. */
typedef struct pp_port {
    pp_ring *ring;
    pp_slot *slots;
    uint32_t capacity;
    uint32_t producers;
    uint32_t owner;
    int bell; /* rung for an event loop at the other side; -1: none */
    uint32_t producer; /* producers: which of ring->open is this one's */
    uint64_t busy; /* elements moved since the last long wait */
    uint64_t counted; /* how many of them `patience` knows of */
    uint64_t seen, seen_at; /* ring->head when this port last looked how fast the stream is, and when: ns */
    uint64_t position; /* of the claimed slot */
    uint64_t word; /* of the claimed slot, as it was claimed */
    uint32_t
        part; /* consumers: which of the slot's elements was claimed; producers: which is being written */
    bool several, sole;
    pp_recent written; /* producers: the slot that was published last */
    pp_tip tip; /* and what is known of it */
    pp_recent read; /* consumers: the slot that an element was taken from last */
    pp_patience patience; /* consumers */
    uint64_t rest; /* with a lease: its `rest` for which the cursor stands in `pack` */
    pp_cursor cursor;
    /* Consumers of a `sole` ring without a lease: what was in the slot that was claimed last. */
    pp_slot batch;
    uint32_t batch_next, batch_count;
} pp_port;

uint64_t pp_ring_bytes(uint32_t capacity, uint32_t producers);
/* Whether there is a ring that lies within nbytes: to be asked before what takes a ring and no port. */
bool pp_ring_valid(const pp_ring *ring, uint64_t nbytes);
void pp_ring_create(pp_ring *ring, uint32_t capacity, uint32_t producers, bool shared);
/* Before anybody opens a port: slots may hold several elements, so capacity is no bound on elements any more. */
void pp_ring_allow_several(pp_ring *ring, bool sole);
/* PP_OK, or PP_CORRUPT when there is no ring of that size. */
int pp_port_open(pp_port *port, pp_ring *ring, uint64_t nbytes, uint32_t owner, uint32_t producer);
/* Have a consumer nap, for so long at most, where several elements come meanwhile: see patience.h. */
void pp_port_spare_wakes(pp_port *port, uint64_t most_ns);

/* Claim the next free slot for writing: PP_OK, PP_FULL, PP_ABORTED, PP_CORRUPT. Then fill head and body. */
int pp_push_claim(pp_port *port, pp_slot **out);
/* Claim the slot that this port published last, to write one more element into it; false when that cannot be, because
 * somebody has begun to take from it. port->part is then how many elements it has. */
bool pp_push_reopen(pp_port *port, pp_slot **out);
/* Publish the claimed slot. With a lease, through the lease's emit protocol. */
void pp_push_publish(pp_port *port, pp_slot *slot, pp_lease *lease, uint32_t outlet);
/* All of that for an element of this kind whose payload fits a slot, with one dimension and no references: into the
 * slot that this port published last, if it goes there, else into a new one. Of `place` only index0 and lane are looked
 * at: a head made for this call would be read before its parts have come together. PP_OK, PP_FULL, PP_ABORTED,
 * PP_CORRUPT. */
int pp_push_small(pp_port *port, const pp_head *place, uint8_t kind, const void *payload, uint32_t nbytes,
                  pp_lease *lease, uint32_t outlet);
/* And for the elements of a slot that was filled elsewhere, all at once. Of a port without a lease. */
int pp_push_pack(pp_port *port, const pp_pack *pack);
/* Give a claimed slot back as a hole, when filling it failed. */
void pp_push_cancel(pp_port *port, pp_slot *slot);
void pp_push_close(pp_port *port);

/* Claim the next element: PP_OK, PP_EMPTY, PP_CLOSED, PP_ABORTED, PP_CORRUPT. Then read it: part port->part of
 * the slot (parts.h). */
int pp_pop_claim(pp_port *port, pp_slot **out);
/* The claimed element was taken out: on to the slot's next, or to the next lap. */
void pp_pop_free(pp_port *port, pp_slot *slot);
/* Claim, copy into the lease and free, in the lease's take protocol. */
int pp_pop_lease(pp_port *port, pp_lease *lease);

/* Wait until trying again makes sense, without the GIL.
 * PP_OK, PP_TIMEOUT, PP_SIGNAL, PP_ABORTED. */
int pp_wait_pop(pp_port *port, uint64_t timeout_ns);
int pp_wait_push(pp_port *port, uint64_t timeout_ns);

/* Wait until a block may have been released, however much room the ring itself has. A release between
 * the failed allocation and this call is not seen: keep timeout_ns to milliseconds. */
int pp_wait_block(pp_port *port, uint64_t timeout_ns);

/* Slots of the ring that are in use, at some moment during the call. */
uint64_t pp_ring_count(const pp_ring *ring);
/* Elements that it holds: a walk over those slots. */
uint64_t pp_ring_elements(const pp_ring *ring);
bool pp_ring_closed(pp_ring *ring);
/* No element will come in or go out any more, from any side. */
void pp_ring_abort(pp_ring *ring, int bell);
/* Wake everybody, after a death: a wake may have gone to the dead. */
void pp_ring_wake_all(pp_ring *ring, int bell);

/* Close on behalf of a producer that is proven dead. */
void pp_ring_close_for(pp_ring *ring, uint32_t producer);

/* After `lease`'s worker is proven dead, in this order and before a replacement starts:
 * settle for the ring it was publishing to (was it published?), then mend every ring it used. */
void pp_ring_settle(pp_ring *ring, pp_lease *lease, uint32_t owner);
/* Slots WRITING by the dead become SKIP, those ADDING READY as they were; elements READING by it move into the lease,
 * unless they are there, and are out of their slots. Returns how many slots were mended. */
uint32_t pp_ring_mend(pp_ring *ring, pp_lease *lease, uint32_t owner);

#endif
