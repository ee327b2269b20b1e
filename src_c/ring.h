/* ring.h - a bounded queue of slots for many producers and many consumers, any of which may die.
 *
 * The slot at position p is slots[p % capacity].  Its word says for which lap it stands (the sequence:
 * p / capacity), in what state it is, and who holds it:
 *
 *     63            16 15        3 2   0
 *     sequence (48)  | owner (13) | state
 *
 * Memory full of zeros is an empty ring: a fresh segment needs no page of slots touched.
 *
 *   FREE(p)        waits for the element of position p
 *   WRITING(p, w)  producer w fills it
 *   READY(p)       holds the element of position p
 *   READING(p, w)  consumer w takes it out
 *   SKIP(p)        its producer died before it was READY: consumers pass over it
 *
 * The step that takes a slot is one compare-and-swap of this word and writes the owner with it, so
 * after a death it is known exactly which slots the dead held.  Words only move forward:
 * FREE(p) -> WRITING(p) -> READY(p) -> READING(p) -> FREE(p + capacity), or WRITING(p) -> SKIP(p) ->
 * FREE(p + capacity).  `head` and `tail` are hints: whoever finds a slot that is past a hint helps it
 * along, so a death between a claim and the advance of its hint needs no repair.
 *
 * Source of the slot sequence: D. Vyukov's bounded MPMC queue; there the claim moves a counter and
 * the slot is written afterwards, which a death in between makes unrepairable.  Hence the named claim.
 *
 * Who may call: each handle (pp_port) belongs to one thread.  Memory order: READY and FREE are stored
 * seq_cst, because they are also the waker's half of the park protocol (park.h); claims are acq_rel,
 * so what the previous holder wrote into the slot is seen by the next.
 *
 * capacity is the bound on elements, exactly: an element holds its slot from the claim of its
 * producer until its consumer has taken it out.
 */
#ifndef PP_RING_H
#define PP_RING_H

#include "lease.h"
#include "park.h"

#define PP_STATE_BITS 3
#define PP_OWNER_BITS 13
#define PP_OWNER_MAX ((1u << PP_OWNER_BITS) - 1)

enum pp_slot_state { PP_FREE = 0, PP_WRITING = 1, PP_READY = 2, PP_READING = 3, PP_SKIP = 4 };

typedef struct pp_ring {
    /* Written at creation only. */
    uint64_t magic;
    uint64_t slots_offset; /* from the ring's own address */
    uint32_t capacity;
    uint32_t producers;
    uint32_t wake_below; /* producers are woken when no more than this many elements are left */
    pp_a32 aborted;
    unsigned char pad0[PP_FAR - 32];
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

/* One worker's end of a ring. */
typedef struct pp_port {
    pp_ring *ring;
    pp_slot *slots;
    uint32_t capacity;
    uint32_t producers;
    uint32_t owner;
    int bell;          /* rung for an event loop at the other side; -1: none */
    uint32_t producer; /* producers: which of ring->open is this one's */
    uint64_t busy;     /* elements moved since the last long wait: is this a fast stream? */
    uint64_t position; /* of the claimed slot */
    uint64_t lap;      /* of that position */
} pp_port;

uint64_t pp_ring_bytes(uint32_t capacity, uint32_t producers);
/* Whether there is a ring that lies within nbytes: to be asked before what takes a ring and no port. */
bool pp_ring_valid(const pp_ring *ring, uint64_t nbytes);
void pp_ring_create(pp_ring *ring, uint32_t capacity, uint32_t producers, bool shared);
/* PP_OK, or PP_CORRUPT when there is no ring of that size. */
int pp_port_open(pp_port *port, pp_ring *ring, uint64_t nbytes, uint32_t owner, uint32_t producer);

/* Claim the next free slot for writing: PP_OK, PP_FULL, PP_ABORTED, PP_CORRUPT. Then fill head and body. */
int pp_push_claim(pp_port *port, pp_slot **out);
/* Publish the claimed slot. With a lease, through the lease's emit protocol. */
void pp_push_publish(pp_port *port, pp_slot *slot, pp_lease *lease, uint32_t outlet);
/* Give a claimed slot back as a hole, when filling it failed. */
void pp_push_cancel(pp_port *port, pp_slot *slot);
void pp_push_close(pp_port *port);

/* Claim the next element: PP_OK, PP_EMPTY, PP_CLOSED, PP_ABORTED, PP_CORRUPT. Then read head and body. */
int pp_pop_claim(pp_port *port, pp_slot **out);
/* The slot's content was taken: free it for the next lap. */
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

/* Elements that the ring holds, at some moment during the call. */
uint64_t pp_ring_count(const pp_ring *ring);
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
/* Slots WRITING by the dead become SKIP; those READING by it move into the lease, unless they are
 * there, and are freed. Returns how many slots were mended. */
uint32_t pp_ring_mend(pp_ring *ring, pp_lease *lease, uint32_t owner);

#endif
