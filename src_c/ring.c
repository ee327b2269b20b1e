/* ring.c - the ring of ring.h.
 *
 * What a crash at each step leaves is written beside the step. "Nothing" means that the others go on
 * without repair.
 */
#include <string.h>

#include "fault_point.h"
#include "ring_words.h"

#define MAGIC 0x7079706c6e72696eu

/* A hint is behind by a lap at most, because nobody claims what lies ahead of it. One that is behind by more
 * was never written by a participant, and helping it along could take years. The hint is looked at again
 * before that is said: whoever slept between the look at the hint and the look at the slot finds the slot any
 * number of laps ahead. Relaxed: who moved the slot there had seen the hint there, before the store of the
 * slot's word that we have acquired, and no later look sees an older hint. */
#define FARTHEST_LEAD 1

/* How many untouched slots a consumer looks for before it takes from one that another has begun with. */
#define AHEAD 16u

static inline void help(pp_a64 *hint, uint64_t seen) {
    pp_cas64(hint, &seen, seen + 1); /* failing is fine: somebody else helped */
}

uint64_t pp_ring_bytes(uint32_t capacity, uint32_t producers) {
    uint64_t header = sizeof(pp_ring) + (uint64_t)producers * sizeof(pp_a32);
    header = (header + PP_FAR - 1) / PP_FAR * PP_FAR;
    return header + (uint64_t)capacity * sizeof(pp_slot);
}

void pp_ring_create(pp_ring *ring, uint32_t capacity, uint32_t producers, bool shared) {
    ring->capacity = capacity;
    ring->producers = producers;
    ring->slots_offset = pp_ring_bytes(0, producers);
    /* A large ring drains to half before its producers are woken, so that one wake moves many
     * elements; in a small one every free slot counts. */
    ring->wake_below = capacity >= LARGE ? capacity / 2 : capacity - 1;
    ring->several = ring->sole = 0;
    pp_store_rlx(&ring->aborted, 0);
    pp_store_rlx(&ring->tail, 0);
    pp_store_rlx(&ring->head, 0);
    pp_spot_create(&ring->not_empty, shared);
    pp_spot_create(&ring->not_full, shared);
    for (uint32_t i = 0; i < producers; i++) pp_store_rlx(&ring->open[i], 1);
    ring->magic = MAGIC;
}

void pp_ring_allow_several(pp_ring *ring, bool sole) {
    ring->several = 1;
    ring->sole = sole;
}

bool pp_ring_valid(const pp_ring *ring, uint64_t nbytes) {
    return nbytes >= sizeof(pp_ring) && ring->magic == MAGIC && ring->capacity != 0 &&
           ring->slots_offset == pp_ring_bytes(0, ring->producers) &&
           nbytes >= pp_ring_bytes(ring->capacity, ring->producers);
}

int pp_port_open(pp_port *port, pp_ring *ring, uint64_t nbytes, uint32_t owner, uint32_t producer) {
    if (!pp_ring_valid(ring, nbytes) || owner == 0 || owner > PP_OWNER_MAX || producer >= ring->producers)
        return PP_CORRUPT;
    memset(port, 0, sizeof *port);
    port->ring = ring;
    port->slots = slots_of(ring);
    port->capacity = ring->capacity;
    port->producers = ring->producers;
    port->owner = owner;
    port->producer = producer;
    port->bell = -1;
    port->several = ring->several != 0;
    port->sole = ring->sole != 0;
    return PP_OK;
}

uint64_t pp_ring_count(const pp_ring *ring) {
    /* head first: tail read later is never behind it, so the count is not negative. */
    uint64_t head = pp_load_acq(&ring->head);
    uint64_t tail = pp_load_acq(&ring->tail);
    return tail > head ? tail - head : 0;
}

uint64_t pp_ring_elements(const pp_ring *ring) {
    const pp_slot *slots = slots_of(ring);
    uint64_t head = pp_load_acq(&ring->head), used = pp_ring_count(ring), elements = 0;
    if (used > ring->capacity) used = ring->capacity; /* hints of different moments */
    if (!ring->several) return used;
    for (uint64_t at = head; at < head + used; at++) {
        uint64_t word = pp_load_acq(&slots[at % ring->capacity].word);
        if (lead_of(word, at / ring->capacity) == 0) elements += count_of(word) - taken_of(word);
    }
    return elements;
}

/* ---- producers ---- */

int pp_push_claim(pp_port *port, pp_slot **out) {
    pp_ring *ring = port->ring;
    if (pp_load_rlx(&ring->aborted)) return PP_ABORTED; /* only a flag: nothing is read through it */
    for (;;) {
        uint64_t at = pp_load_acq(&ring->tail);
        uint64_t lap = at / port->capacity;
        pp_slot *slot = &port->slots[at % port->capacity];
        uint64_t word = pp_load_acq(&slot->word);
        int64_t lead = lead_of(word, lap);
        if (lead == 0 && state_of(word) == PP_FREE) {
            uint64_t claimed = word_of(lap, port->owner, PP_WRITING);
            if (!pp_cas64(&slot->word, &word, claimed)) continue;
            /* Crash from here to publish: WRITING by the dead, which mend makes a SKIP. */
            help(&ring->tail, at);
            port->position = at;
            port->word = claimed;
            port->part = 0;
            *out = slot;
            return PP_OK;
        }
        if (lead >= 0) { /* claimed by somebody, or long past: the hint is behind */
            if (lead > FARTHEST_LEAD && pp_load_rlx(&ring->tail) == at) return PP_CORRUPT;
            help(&ring->tail, at);
            continue;
        }
        /* The slot is still in use from the lap before: full, unless the hint has moved meanwhile. */
        if (lead < -1) return PP_CORRUPT; /* no hint moves past a slot that was not claimed */
        if (pp_load_acq(&ring->tail) == at) return PP_FULL;
    }
}

bool pp_push_reopen(pp_port *port, pp_slot **out) {
    pp_recent *written = &port->written;
    uint64_t word = written->word;
    if (word == 0) return false;
    written->word = 0;
    if (count_of(word) >= PP_PARTS || pp_load_rlx(&port->ring->aborted)) return false;
    uint64_t claimed = turned(word, port->owner, PP_ADDING);
    if (!pp_cas64(&written->slot->word, &word, claimed)) return false;
    /* Crash from here to publish: ADDING by the dead, which mend makes READY without the new one. */
    port->position = written->position;
    port->word = claimed;
    port->part = count_of(claimed);
    *out = written->slot;
    return true;
}

/* So many elements were written into the claimed slot: they are there for everybody. */
static inline void publish(pp_port *port, pp_slot *slot, uint32_t count, pp_lease *lease, uint32_t outlet) {
    uint64_t ready = turned(port->word, 0, PP_READY) + ((uint64_t)count << COUNT_SHIFT);
    if (lease != NULL) {
        uint64_t emitted = pp_load_rlx(&lease->out) >> PP_OUT_SHIFT; /* only this worker writes it */
        pp_store_rel(&lease->out_ring, outlet);
        pp_store_rel(&lease->out, emitted << PP_OUT_SHIFT | ((port->position + 1) & PP_OUT_MASK));
        /* Crash here: the lease names a slot that is still WRITING by us: not published. */
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
        /* Crash here: the slot has moved on: published. settle adds the one. */
        PP_FAULT_POINT("slot ready");
        pp_store_rel(&lease->out, (emitted + 1) << PP_OUT_SHIFT);
    } else {
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
    }
    port->busy += count;
    if (port->several) port->written = (pp_recent){slot, port->position, ready};
    pp_spot_notify(&port->ring->not_empty, port->bell);
}

void pp_push_publish(pp_port *port, pp_slot *slot, pp_lease *lease, uint32_t outlet) {
    publish(port, slot, 1, lease, outlet);
}

int pp_push_small(pp_port *port, const pp_head *place, uint8_t kind, const void *payload, uint32_t nbytes,
                  pp_lease *lease, uint32_t outlet) {
    pp_slot *slot;
    if (pp_tip_admits(&port->tip, place, kind, nbytes) && pp_push_reopen(port, &slot)) {
        PP_FAULT_POINT("slot reopened");
        pp_slot_add(slot, &port->tip, payload, nbytes);
    } else {
        int rc = pp_push_claim(port, &slot);
        if (rc != PP_OK) return rc;
        PP_FAULT_POINT("slot claimed");
        pp_head head = {(uint16_t)nbytes, 0, kind, 1, place->lane, place->index0};
        pp_slot_begin(slot, &head, payload, nbytes);
        pp_tip_begin(&port->tip, &head, nbytes);
    }
    publish(port, slot, 1, lease, outlet);
    return PP_OK;
}

int pp_push_pack(pp_port *port, const pp_pack *pack) {
    pp_slot *slot;
    int rc = pp_push_claim(port, &slot);
    if (rc != PP_OK) return rc;
    PP_FAULT_POINT("slot claimed");
    slot->head = pack->slot.head;
    slot->body = pack->slot.body;
    port->tip = pack->tip;
    publish(port, slot, pack->count, NULL, 0);
    return PP_OK;
}

void pp_push_cancel(pp_port *port, pp_slot *slot) {
    uint64_t without = turned(port->word, 0, count_of(port->word) == 0 ? PP_SKIP : PP_READY);
    atomic_store_explicit(&slot->word, without, memory_order_seq_cst);
    pp_spot_notify(&port->ring->not_empty, port->bell);
}

static void close_producer(pp_ring *ring, uint32_t producer, int bell) {
    if (producer >= ring->producers) return;
    /* release: who sees the flag sees every element published before it. */
    atomic_store_explicit(&ring->open[producer], 0, memory_order_seq_cst);
    pp_spot_wake_all(&ring->not_empty, bell);
}

void pp_push_close(pp_port *port) { close_producer(port->ring, port->producer, port->bell); }

void pp_ring_close_for(pp_ring *ring, uint32_t producer) { close_producer(ring, producer, -1); }

static bool all_closed(pp_ring *ring, uint32_t producers) {
    for (uint32_t i = 0; i < producers; i++)
        if (pp_load_seq(&ring->open[i])) return false;
    return true;
}

bool pp_ring_closed(pp_ring *ring) { return all_closed(ring, ring->producers); }

/* ---- consumers ---- */

/* What a consumer finds. */
typedef struct {
    pp_slot *slot;
    uint64_t position;
    uint64_t word; /* READY */
    bool idle; /* when there is nothing: the ring is truly empty, and no element is in somebody's hands */
} found;

/* Look for the next element without taking it: PP_OK, PP_EMPTY or PP_CORRUPT.
 *
 * The loads of words are seq_cst: this is the waiter's look in the park protocol. */
static int look(pp_port *port, found *f) {
    pp_ring *ring = port->ring;
    /* Sharing a line with another consumer costs more than the element does; the order in which elements are
     * begun with matters more where they take long. */
    const bool busy = port->busy >= BUSY;
restart:
    f->slot = NULL;
    uint64_t at = pp_load_acq(&ring->head);
    uint64_t lap = at / port->capacity, index = at % port->capacity;
    for (uint32_t ahead = 0; ahead <= AHEAD; ahead++) {
        pp_slot *slot = &port->slots[index];
        uint64_t word = pp_load_seq(&slot->word);
        int64_t lead = lead_of(word, lap);
        if (lead < 0) { /* a consumer still reads the slot of the lap before: nothing is behind it */
            if (lead < -1) return PP_CORRUPT; /* no hint moves past a slot that was not claimed */
            if (pp_load_acq(&ring->head) != at) goto restart;
            f->idle = ahead == 0;
            break;
        }
        bool past = lead > 0; /* others have emptied it */
        if (lead > FARTHEST_LEAD && pp_load_rlx(&ring->head) == at) return PP_CORRUPT;
        if (!past) switch (state_of(word)) {
                case PP_READY:
                    if (count_of(word) <= taken_of(word)) return PP_CORRUPT;
                    if (taken_of(word) != 0 && owner_of(word) != port->owner && f->slot != NULL) break;
                    f->slot = slot;
                    f->position = at + ahead;
                    f->word = word;
                    if (taken_of(word) == 0 || owner_of(word) == port->owner || !busy) return PP_OK;
                    break; /* somebody else has begun with it: only when there is no other */
                case PP_READING: past = is_last(word); break;
                case PP_SKIP:
                    /* seq_cst, as in pop_free: a producer may be waiting for this slot. */
                    if (!pp_cas64_seq(&slot->word, &word, freed(word))) goto restart;
                    pp_spot_notify(&ring->not_full, port->bell);
                    past = true;
                    break;
                case PP_FREE:
                case PP_WRITING:
                case PP_ADDING:
                    f->idle = ahead == 0 && state_of(word) == PP_FREE;
                    return f->slot != NULL ? PP_OK : PP_EMPTY;
                default: return PP_CORRUPT;
            }
        if (past && ahead == 0) {
            help(&ring->head, at);
            goto restart;
        }
        if (++index == port->capacity) {
            index = 0;
            lap++;
        }
    }
    return f->slot != NULL ? PP_OK : PP_EMPTY;
}

/* Claim one element of a READY slot; false when somebody was faster. */
static inline bool take(pp_port *port, pp_slot *slot, uint64_t position, uint64_t word) {
    uint64_t claimed = turned(word, port->owner, PP_READING);
    if (!pp_cas64(&slot->word, &word, claimed)) return false;
    /* Crash from here to free: READING by the dead, which mend resolves with the lease. */
    if (is_last(claimed) || port->sole) help(&port->ring->head, position);
    port->position = position;
    port->word = claimed;
    port->part = taken_of(claimed);
    return true;
}

/* PP_OK: an element is claimed. PP_EMPTY: nothing to take; *idle tells whether the ring is truly empty (and not
 * merely waiting for a producer that has claimed the next slot). */
static int claim_next(pp_port *port, pp_slot **out, bool *idle) {
    if (port->read.word != 0) {
        uint64_t word = port->read.word;
        port->read.word = 0;
        *out = port->read.slot;
        if (take(port, port->read.slot, port->read.position, word)) return PP_OK;
    }
    for (;;) {
        found f = {NULL, 0, 0, false};
        int rc = look(port, &f);
        *idle = f.idle;
        if (rc != PP_OK) return rc;
        *out = f.slot;
        if (take(port, f.slot, f.position, f.word)) return PP_OK;
    }
}

static int pop_claim(pp_port *port, pp_slot **out) {
    pp_ring *ring = port->ring;
    bool idle = false;
    int rc = claim_next(port, out, &idle);
    if (rc != PP_EMPTY) return rc;
    /* Whoever finds it empty wakes producers that wait for it to drain: the count that pop_free
     * compares is made of hints and may have been too high for everyone. */
    pp_spot_notify(&ring->not_full, port->bell);
    if (!idle || !all_closed(ring, port->producers)) return PP_EMPTY;
    /* Everything that will ever come was published before the flags: one more look decides. */
    rc = claim_next(port, out, &idle);
    if (rc != PP_EMPTY) return rc;
    if (!idle) return PP_EMPTY;
    /* Who has seen an element in somebody's hands, with others behind it, sleeps: nobody else will say that
     * they are gone. */
    pp_spot_wake_all(&ring->not_empty, -1);
    return PP_CLOSED;
}

/* A slot of which everything is out. */
static void free_slot(pp_port *port, pp_slot *slot) {
    pp_ring *ring = port->ring;
    atomic_store_explicit(&slot->word, freed(port->word), memory_order_seq_cst);
    if (pp_load_seq(&ring->not_full.waiters) != 0 && pp_ring_count(ring) <= ring->wake_below)
        pp_spot_wake(&ring->not_full, port->bell);
}

int pp_pop_claim(pp_port *port, pp_slot **out) {
    if (pp_load_rlx(&port->ring->aborted)) return PP_ABORTED; /* only a flag: nothing is read through it */
    if (port->batch_next == port->batch_count) {
        pp_slot *slot;
        int rc = pop_claim(port, &slot);
        *out = slot;
        if (rc != PP_OK || !port->sole || is_last(port->word)) return rc;
        /* The rest goes with it: there is nobody else to take it. */
        port->batch.head = slot->head;
        port->batch.body = slot->body;
        port->batch_next = port->part;
        port->batch_count = count_of(port->word);
        free_slot(port, slot);
    }
    port->part = port->batch_next;
    *out = &port->batch;
    return PP_OK;
}

void pp_pop_free(pp_port *port, pp_slot *slot) {
    port->busy++;
    if (slot == &port->batch) {
        port->batch_next++;
    } else if (is_last(port->word)) {
        free_slot(port, slot);
    } else {
        uint64_t rest = turned(port->word, port->owner, PP_READY) + ((uint64_t)1 << TAKEN_SHIFT);
        atomic_store_explicit(&slot->word, rest, memory_order_seq_cst);
        port->read = (pp_recent){slot, port->position, rest};
        /* Whoever looked meanwhile found nothing here. */
        pp_spot_notify(&port->ring->not_empty, port->bell);
    }
}

int pp_pop_lease(pp_port *port, pp_lease *lease) {
    if (pp_load_rlx(&port->ring->aborted)) return PP_ABORTED;
    uint64_t rest = pp_load_rlx(&lease->rest); /* only this worker writes it */
    uint32_t part = rest >> PP_PART_BITS & PP_PART_MASK, count = rest & PP_PART_MASK;
    if (part < count) {
        uint64_t position = rest >> 2 * PP_PART_BITS;
        if (port->rest != rest) port->cursor = (pp_cursor){0, 0, 0}; /* it was a predecessor's */
        if (!pp_part_copy(&lease->element, &lease->pack, part, &port->cursor)) return PP_CORRUPT;
        /* Crash before this store: the rest begins with it. */
        hold(lease, position, part);
        /* Crash here: in both places: mend lets the rest begin behind it. */
        PP_FAULT_POINT("element leased");
        port->rest = keep_rest(lease, position, part + 1, count);
        port->busy++;
        return PP_OK;
    }
    pp_slot *slot;
    int rc = pop_claim(port, &slot);
    if (rc != PP_OK) return rc;
    part = port->part;
    count = count_of(port->word);
    port->cursor = (pp_cursor){0, 0, 0};
    if (!pp_part_copy(&lease->element, slot, part, &port->cursor)) return PP_CORRUPT;
    bool whole = port->sole && part + 1 < count;
    if (whole) {
        lease->pack.head = slot->head;
        lease->pack.body = slot->body;
    }
    /* Crash before `in` is stored: the slot is READING by us and the lease is empty: mend moves it over. */
    hold(lease, port->position, part);
    /* Crash here: in both places: mend only frees the slot. */
    PP_FAULT_POINT("element leased");
    if (whole) {
        port->rest = keep_rest(lease, port->position, part + 1, count);
        port->busy++;
        free_slot(port, slot);
    } else {
        pp_pop_free(port, slot);
    }
    return PP_OK;
}

/* Not while an element is in somebody's hands who has others to give back. */
bool pp_can_pop(pp_port *port) {
    found f = {NULL, 0, 0, false};
    return port->batch_next != port->batch_count || look(port, &f) != PP_EMPTY ||
           (f.idle && all_closed(port->ring, port->producers));
}

bool pp_can_push(pp_port *port) {
    pp_ring *ring = port->ring;
    uint64_t at = pp_load_acq(&ring->tail);
    uint64_t word = pp_load_seq(&port->slots[at % port->capacity].word);
    return lead_of(word, at / port->capacity) >= 0 || pp_load_acq(&ring->tail) != at;
}

/* ---- ends ---- */

void pp_ring_wake_all(pp_ring *ring, int bell) {
    pp_spot_wake_all(&ring->not_empty, bell);
    pp_spot_wake_all(&ring->not_full, bell);
}

void pp_ring_abort(pp_ring *ring, int bell) {
    atomic_store_explicit(&ring->aborted, 1, memory_order_seq_cst);
    pp_ring_wake_all(ring, bell);
}
