/* ring_repair.c - what a death leaves of a ring and of its leases, put right.
 *
 * Called by the supervisor once the owner is proven dead, while the others go on. It changes only words that name
 * the dead. It may itself be interrupted and called again: what is mended no longer names the dead.
 */
#include "ring_words.h"

void pp_ring_settle(pp_ring *ring, pp_lease *lease, uint32_t owner) {
    uint64_t out = pp_load_acq(&lease->out);
    uint64_t at = out & PP_OUT_MASK;
    if (at == 0) return;
    at--;
    uint64_t word = pp_load_acq(&slots_of(ring)[at % ring->capacity].word);
    bool still_writing = lead_of(word, at / ring->capacity) == 0 && owner_of(word) == owner &&
                         (state_of(word) == PP_WRITING || state_of(word) == PP_ADDING);
    pp_store_rel(&lease->out, ((out >> PP_OUT_SHIFT) + (still_writing ? 0 : 1)) << PP_OUT_SHIFT);
}

/* What the dead was reading moves into its lease, unless it is there. */
static void move_into_lease(pp_ring *ring, const pp_slot *slot, uint64_t position, uint64_t word,
                            pp_lease *lease) {
    uint32_t part = taken_of(word), count = count_of(word);
    bool whole = ring->sole && part + 1 < count;
    if (pp_load_acq(&lease->in) != place_of(position, part) + 1) {
        pp_cursor cursor = {0, 0, 0};
        if (!pp_part_copy(&lease->element, slot, part, &cursor)) return;
        if (whole) {
            lease->pack.head = slot->head;
            lease->pack.body = slot->body;
        }
        hold(lease, position, part);
    }
    if (whole) keep_rest(lease, position, part + 1, count);
}

/* The dead had taken the first of the rest in hand, and not yet said that the rest begins behind it. */
static void settle_rest(pp_lease *lease) {
    uint64_t in = pp_load_acq(&lease->in), rest = pp_load_acq(&lease->rest);
    if (in != 0 && in - 1 == rest >> PP_PART_BITS && (rest >> PP_PART_BITS & PP_PART_MASK) < (rest & PP_PART_MASK))
        pp_store_rel(&lease->rest, rest + (1u << PP_PART_BITS));
}

uint32_t pp_ring_mend(pp_ring *ring, pp_lease *lease, uint32_t owner) {
    pp_slot *slots = slots_of(ring);
    uint64_t near = pp_load_acq(&ring->head) / ring->capacity;
    uint32_t mended = 0;
    if (lease != NULL) settle_rest(lease);
    for (uint32_t i = 0; i < ring->capacity; i++) {
        uint64_t word = pp_load_acq(&slots[i].word), mending;
        /* Slots are claimed in turn: neither this one nor any behind it was, and their pages need not be taken. */
        if (word == 0 && near == 0) break;
        if (owner_of(word) != owner) continue;
        /* The word has its lap's low bits; the hint is at most a lap away. */
        uint64_t position = (near + (uint64_t)lead_of(word, near)) * ring->capacity + i;
        switch (state_of(word)) {
            case PP_WRITING: mending = turned(word, 0, PP_SKIP); break;
            case PP_ADDING: mending = turned(word, 0, PP_READY); break;
            case PP_READING:
                if (lease != NULL) move_into_lease(ring, &slots[i], position, word, lease);
                mending = is_last(word) || ring->sole
                              ? freed(word)
                              : turned(word, 0, PP_READY) + ((uint64_t)1 << TAKEN_SHIFT);
                break;
            default: continue;
        }
        atomic_store_explicit(&slots[i].word, mending, memory_order_seq_cst);
        mended++;
    }
    /* Always: the dead may have taken a wake with it. */
    pp_ring_wake_all(ring, -1);
    return mended;
}
