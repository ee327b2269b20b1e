/* ring_words.h - the word of a slot, and what ring.c, ring_wait.c and ring_repair.c share. Nobody else includes it. */
#ifndef PP_RING_WORDS_H
#define PP_RING_WORDS_H

#include "ring.h"

/* A port is busy that has moved so many elements without a long wait, and a queue is large whose content outlasts
 * a nap: see docs/design/waiting.md. */
#define BUSY 64u
#define LARGE 1024u

enum { TAKEN_SHIFT = 16, COUNT_SHIFT = 20, LAP_SHIFT = 24 };

/* A slot that holds no element, or whose elements are not there yet. */
static inline uint64_t word_of(uint64_t lap, uint64_t owner, uint64_t state) {
    return lap << LAP_SHIFT | owner << PP_STATE_BITS | state;
}
static inline uint64_t state_of(uint64_t word) { return word & 7u; }
static inline uint64_t owner_of(uint64_t word) { return word >> PP_STATE_BITS & PP_OWNER_MAX; }
static inline uint32_t count_of(uint64_t word) { return word >> COUNT_SHIFT & PP_PART_MASK; }
static inline uint32_t taken_of(uint64_t word) { return word >> TAKEN_SHIFT & PP_PART_MASK; }
/* The word of the same lap and with the same elements in another state. */
static inline uint64_t turned(uint64_t word, uint64_t owner, uint64_t state) {
    uint64_t kept = ~(uint64_t)0 << TAKEN_SHIFT;
    return (word & kept) | owner << PP_STATE_BITS | state;
}
static inline uint64_t freed(uint64_t word) { return ((word >> LAP_SHIFT) + 1) << LAP_SHIFT; }
/* Distance from `lap` to the word's sequence, in their 40-bit circle: 0 the same, negative: the slot
 * still belongs to an earlier lap, positive: it is past this one. */
static inline int64_t lead_of(uint64_t word, uint64_t lap) {
    return (int64_t)((word & ~(uint64_t)0xffffff) - (lap << LAP_SHIFT)) >> LAP_SHIFT;
}
/* The last of a slot's elements is being read: nobody has to come back to it. */
static inline bool is_last(uint64_t word) { return taken_of(word) + 1 >= count_of(word); }

static inline uint64_t place_of(uint64_t position, uint32_t part) { return position << PP_PART_BITS | part; }

static inline pp_slot *slots_of(const pp_ring *ring) {
    return (pp_slot *)((unsigned char *)ring + ring->slots_offset);
}

/* The element at this place is in hand from here on. */
static inline void hold(pp_lease *lease, uint64_t position, uint32_t part) {
    pp_store_rel(&lease->out, 0);
    pp_store_rel(&lease->in, place_of(position, part) + 1);
}

static inline uint64_t keep_rest(pp_lease *lease, uint64_t position, uint32_t part, uint32_t count) {
    uint64_t rest = place_of(position, part) << PP_PART_BITS | count;
    pp_store_rel(&lease->rest, rest);
    return rest;
}

/* Whether a consumer would find something, were it that nothing will come. */
bool pp_can_pop(pp_port *port);
/* Whether there is room. */
bool pp_can_push(pp_port *port);
/* Whether slots have been emptied, by all who take, in such quick succession since this port asked last that waking
 * somebody for each would cost more than they do; `moved` tells whether any have. */
bool pp_stream_is_fast(pp_port *port, uint64_t now, bool *moved);

#endif
