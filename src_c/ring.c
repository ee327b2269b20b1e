/* ring.c - the ring of ring.h.
 *
 * What a crash at each step leaves is written beside the step. "Nothing" means that the others go on
 * without repair.
 */
#include "ring.h"

#include <string.h>

#include "fault_point.h"

#define MAGIC 0x7079706c6e72696eu

/* A hint is behind by a lap at most, because nobody claims what lies ahead of it. One that is behind by more
 * was never written by a participant, and helping it along could take years. The hint is looked at again
 * before that is said: whoever slept between the look at the hint and the look at the slot finds the slot any
 * number of laps ahead. Relaxed: who moved the slot there had seen the hint there, before the store of the
 * slot's word that we have acquired, and no later look sees an older hint. */
#define FARTHEST_LEAD 1

/* Spinning before a wait: the time of a hand-over between two running cores, not more. */
#define SPINS 64

/* Naps: see docs/design/waiting.md. Only where the content of a queue outlasts a nap (a small queue
 * would run dry or full meanwhile), only in a fast stream, and only for about two milliseconds. */
#define NAP_NS 30000u
#define NAPS 20
#define NAP_CAPACITY 1024u
#define NAP_BUSY 64u

/* A sleeper looks around this often even when nobody wakes it: SIGSTOP between a waker's two steps,
 * and signals that another thread received, delay by no more than this. */
#define LOOK_NS 100000000u

static inline uint64_t word_of(uint64_t lap, uint64_t owner, uint64_t state) {
    return lap << 16 | owner << PP_STATE_BITS | state;
}
static inline uint64_t state_of(uint64_t word) { return word & 7u; }
static inline uint64_t owner_of(uint64_t word) { return word >> PP_STATE_BITS & PP_OWNER_MAX; }
/* Distance from `lap` to the word's sequence, in their 48-bit circle: 0 the same, negative: the slot
 * still belongs to an earlier lap, positive: it is past this one. */
static inline int64_t lead_of(uint64_t word, uint64_t lap) {
    return (int64_t)((word & ~(uint64_t)0xffff) - (lap << 16)) >> 16;
}

static inline pp_slot *slots_of(const pp_ring *ring) {
    return (pp_slot *)((unsigned char *)ring + ring->slots_offset);
}

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
    ring->wake_below = capacity >= NAP_CAPACITY ? capacity / 2 : capacity - 1;
    pp_store_rlx(&ring->aborted, 0);
    pp_store_rlx(&ring->tail, 0);
    pp_store_rlx(&ring->head, 0);
    pp_spot_create(&ring->not_empty, shared);
    pp_spot_create(&ring->not_full, shared);
    for (uint32_t i = 0; i < producers; i++) pp_store_rlx(&ring->open[i], 1);
    ring->magic = MAGIC;
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
    return PP_OK;
}

uint64_t pp_ring_count(const pp_ring *ring) {
    /* head first: tail read later is never behind it, so the count is not negative. */
    uint64_t head = pp_load_acq(&ring->head);
    uint64_t tail = pp_load_acq(&ring->tail);
    return tail > head ? tail - head : 0;
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
            if (!pp_cas64(&slot->word, &word, word_of(lap, port->owner, PP_WRITING))) continue;
            /* Crash from here to publish: WRITING by the dead, which mend makes a SKIP. */
            help(&ring->tail, at);
            port->position = at;
            port->lap = lap;
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

void pp_push_publish(pp_port *port, pp_slot *slot, pp_lease *lease, uint32_t outlet) {
    uint64_t ready = word_of(port->lap, 0, PP_READY);
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
    port->busy++;
    pp_spot_notify(&port->ring->not_empty, port->bell);
}

void pp_push_cancel(pp_port *port, pp_slot *slot) {
    atomic_store_explicit(&slot->word, word_of(port->lap, 0, PP_SKIP), memory_order_seq_cst);
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

/* PP_OK: the slot is claimed. PP_EMPTY: nothing to take; *idle tells whether the ring is truly empty
 * (and not merely waiting for a producer that has claimed the next slot). */
static int claim_next(pp_port *port, pp_slot **out, bool *idle) {
    pp_ring *ring = port->ring;
    for (;;) {
        uint64_t at = pp_load_acq(&ring->head);
        uint64_t lap = at / port->capacity;
        pp_slot *slot = &port->slots[at % port->capacity];
        uint64_t word = pp_load_seq(&slot->word); /* seq_cst: the waiter's look in the park protocol */
        int64_t lead = lead_of(word, lap);
        if (lead > 0) {
            if (lead > FARTHEST_LEAD && pp_load_rlx(&ring->head) == at) return PP_CORRUPT;
            help(&ring->head, at);
            continue;
        }
        if (lead < 0) { /* a consumer still reads the slot of the lap before: nothing is behind it */
            if (lead < -1) return PP_CORRUPT; /* no hint moves past a slot that was not claimed */
            if (pp_load_acq(&ring->head) != at) continue;
            *idle = true;
            return PP_EMPTY;
        }
        switch (state_of(word)) {
            case PP_READY:
                if (!pp_cas64(&slot->word, &word, word_of(lap, port->owner, PP_READING))) continue;
                /* Crash from here to free: READING by the dead, which mend resolves with the lease. */
                help(&ring->head, at);
                port->position = at;
                port->lap = lap;
                *out = slot;
                return PP_OK;
            case PP_READING: help(&ring->head, at); continue;
            case PP_SKIP:
                /* seq_cst, as in pop_free: a producer may be waiting for this slot. */
                if (pp_cas64_seq(&slot->word, &word, word_of(lap + 1, 0, PP_FREE))) {
                    help(&ring->head, at);
                    pp_spot_notify(&ring->not_full, port->bell);
                }
                continue;
            case PP_FREE: *idle = true; return PP_EMPTY;
            case PP_WRITING: *idle = false; return PP_EMPTY;
            default: return PP_CORRUPT;
        }
    }
}

int pp_pop_claim(pp_port *port, pp_slot **out) {
    pp_ring *ring = port->ring;
    if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
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
    return idle ? PP_CLOSED : PP_EMPTY;
}

void pp_pop_free(pp_port *port, pp_slot *slot) {
    pp_ring *ring = port->ring;
    atomic_store_explicit(&slot->word, word_of(port->lap + 1, 0, PP_FREE), memory_order_seq_cst);
    port->busy++;
    if (pp_load_seq(&ring->not_full.waiters) != 0 && pp_ring_count(ring) <= ring->wake_below)
        pp_spot_wake(&ring->not_full, port->bell);
}

int pp_pop_lease(pp_port *port, pp_lease *lease) {
    pp_slot *slot;
    int rc = pp_pop_claim(port, &slot);
    if (rc != PP_OK) return rc;
    lease->element.head = slot->head;
    lease->element.body = slot->body;
    pp_store_rel(&lease->out, 0);
    /* Crash before this store: the slot is READING by us and the lease is empty: mend moves it over. */
    pp_store_rel(&lease->in, port->position + 1);
    /* Crash here: in both places: mend only frees the slot. */
    PP_FAULT_POINT("element leased");
    pp_pop_free(port, slot);
    return PP_OK;
}

/* ---- waiting ---- */

static bool can_pop(pp_port *port) {
    pp_ring *ring = port->ring;
    uint64_t at = pp_load_acq(&ring->head);
    uint64_t word = pp_load_seq(&port->slots[at % port->capacity].word);
    int64_t lead = lead_of(word, at / port->capacity);
    if (lead > 0) return true;
    if (lead == 0 && state_of(word) != PP_FREE && state_of(word) != PP_WRITING) return true;
    return pp_load_acq(&ring->head) != at;
}

static bool can_push(pp_port *port) {
    pp_ring *ring = port->ring;
    uint64_t at = pp_load_acq(&ring->tail);
    uint64_t word = pp_load_seq(&port->slots[at % port->capacity].word);
    return lead_of(word, at / port->capacity) >= 0 || pp_load_acq(&ring->tail) != at;
}

static bool drained(pp_port *port) {
    return can_push(port) && pp_ring_count(port->ring) <= port->ring->wake_below;
}

/* One waiting loop for both sides: `ready` ends the wait, `rested` ends a nap. */
static inline int wait_for(pp_port *port, pp_spot *spot, uint64_t timeout_ns, bool (*ready)(pp_port *),
                           bool (*rested)(pp_port *), bool ends_when_closed) {
    pp_ring *ring = port->ring;
    for (int i = 0; i < SPINS; i++) {
        if (rested(port)) return PP_OK;
        pp_relax();
    }
    if (timeout_ns == 0) return ready(port) ? PP_OK : PP_TIMEOUT;
    if (port->busy >= NAP_BUSY && port->capacity >= NAP_CAPACITY) {
        for (int i = 0; i < NAPS; i++) {
            pp_nap(NAP_NS);
            if (rested(port)) return PP_OK;
            if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
        }
    }
    port->busy = 0;
    uint64_t span = timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS;
    uint32_t key = pp_spot_register(spot);
    if (ready(port)) return PP_OK;
    if (pp_load_seq(&ring->aborted)) return PP_ABORTED;
    if (ends_when_closed && all_closed(ring, port->producers)) return PP_OK;
    int rc = pp_spot_sleep(spot, key, span);
    if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
    return rc;
}

int pp_wait_pop(pp_port *port, uint64_t timeout_ns) {
    return wait_for(port, &port->ring->not_empty, timeout_ns, can_pop, can_pop, true);
}

int pp_wait_push(pp_port *port, uint64_t timeout_ns) {
    return wait_for(port, &port->ring->not_full, timeout_ns, can_push, drained, false);
}

int pp_wait_block(pp_port *port, uint64_t timeout_ns) {
    uint32_t key = pp_spot_register(&port->ring->not_full);
    if (pp_load_seq(&port->ring->aborted)) return PP_ABORTED;
    int rc = pp_spot_sleep(&port->ring->not_full, key, timeout_ns);
    return pp_load_rlx(&port->ring->aborted) ? PP_ABORTED : rc;
}

/* ---- ends and deaths ---- */

void pp_ring_wake_all(pp_ring *ring, int bell) {
    pp_spot_wake_all(&ring->not_empty, bell);
    pp_spot_wake_all(&ring->not_full, bell);
}

void pp_ring_abort(pp_ring *ring, int bell) {
    atomic_store_explicit(&ring->aborted, 1, memory_order_seq_cst);
    pp_ring_wake_all(ring, bell);
}

void pp_ring_settle(pp_ring *ring, pp_lease *lease, uint32_t owner) {
    uint64_t out = pp_load_acq(&lease->out);
    uint64_t at = out & PP_OUT_MASK;
    if (at == 0) return;
    at--;
    uint64_t word = pp_load_acq(&slots_of(ring)[at % ring->capacity].word);
    bool still_writing =
        lead_of(word, at / ring->capacity) == 0 && state_of(word) == PP_WRITING && owner_of(word) == owner;
    pp_store_rel(&lease->out, ((out >> PP_OUT_SHIFT) + (still_writing ? 0 : 1)) << PP_OUT_SHIFT);
}

uint32_t pp_ring_mend(pp_ring *ring, pp_lease *lease, uint32_t owner) {
    pp_slot *slots = slots_of(ring);
    uint32_t mended = 0;
    for (uint32_t i = 0; i < ring->capacity; i++) {
        uint64_t word = pp_load_acq(&slots[i].word);
        if (owner_of(word) != owner) continue;
        uint64_t lap = word >> 16;
        uint64_t at = lap * ring->capacity + i;
        if (state_of(word) == PP_WRITING) {
            atomic_store_explicit(&slots[i].word, word_of(lap, 0, PP_SKIP), memory_order_seq_cst);
            mended++;
        } else if (state_of(word) == PP_READING) {
            if (lease != NULL && pp_load_acq(&lease->in) != at + 1) {
                lease->element.head = slots[i].head;
                lease->element.body = slots[i].body;
                pp_store_rel(&lease->out, 0);
                pp_store_rel(&lease->in, at + 1);
            }
            atomic_store_explicit(&slots[i].word, word_of(lap + 1, 0, PP_FREE), memory_order_seq_cst);
            mended++;
        }
    }
    /* Always: the dead may have taken a wake with it. */
    pp_ring_wake_all(ring, -1);
    return mended;
}
