/* core.h - ring, park, lease and window on Relacy's atomics. */
#ifndef PP_WEAK_CORE_H
#define PP_WEAK_CORE_H

#include "checked.h"

#include <unistd.h>

namespace weak {
static long ring_bell();
}

/* The one bell of a check, and the only thing the core writes to. */
#define write(descriptor, data, nbytes) weak::ring_bell()

#include "ring.c"
#undef MAGIC
#include "ring_repair.c"
#include "ring_wait.c"
#include "park.c"
#include "window.h"

/* ---- the system's part of park.h ---- */

/* Never by time: a wake that is lost is a deadlock, which Relacy reports.  The look at the word and the
 * sleep are one step, as they are in the kernel. */
int pp_os_wait(pp_a32 *word, uint32_t expected, uint64_t, bool) {
    rl::context &c = rl::ctx();
    weak::step();
    c.sched();
    if (word->debug_value() != expected) return PP_OK;
    word->wait(c, false, false, $);
    return PP_OK;
}

void pp_os_wake(pp_a32 *word, int count, bool) {
    rl::context &c = rl::ctx();
    weak::step();
    c.sched();
    word->wake(c, count == 1 ? 1 : weak::THREADS_MOST, $);
}

uint64_t pp_os_name(void) { return 0; }

namespace weak {

/* An eventfd that one event loop waits for. */
static pp_a32 *bell_word;

static long ring_bell() {
    pp_add_seq(bell_word, 1);
    pp_os_wake(bell_word, 1, true);
    return 8;
}

static void wait_for_bell() {
    while (atomic_exchange_explicit(bell_word, 0, memory_order_seq_cst) == 0)
        pp_os_wait(bell_word, 0, 0, true);
}

enum { CAPACITY_MOST = 3, PRODUCERS_MOST = 4 };

/* A ring in memory whose atomic words are constructed, one by one, and zero. */
struct ring_memory {
    alignas(PP_FAR) unsigned char bytes[sizeof(pp_ring) + 2 * PP_FAR + CAPACITY_MOST * sizeof(pp_slot)];

    pp_ring *ring() { return (pp_ring *)bytes; }
    pp_slot *slots() { return (pp_slot *)(bytes + ring()->slots_offset); }

    void create(uint32_t capacity, uint32_t producers, bool several = false, bool sole = false) {
        new (bytes) pp_ring();
        pp_ring_create(ring(), capacity, producers, true);
        if (several) pp_ring_allow_several(ring(), sole);
        for (unsigned i = 0; i < capacity; i++) {
            new (&slots()[i]) pp_slot();
            pp_store_rlx(&slots()[i].word, 0);
        }
    }

    void destroy() {
        for (unsigned i = 0; i < ring()->capacity; i++) slots()[i].~pp_slot();
        ring()->~pp_ring();
    }

    pp_port open(uint32_t owner, uint32_t producer) {
        pp_port port;
        int status = pp_port_open(&port, ring(), sizeof bytes, owner, producer);
        RL_ASSERT(status == PP_OK);
        return port;
    }
};

static const uint64_t FOREVER_NS = ~(uint64_t)0;

/* Elements of one producer follow one another: they may share a slot. */
static inline int push(pp_port *port, uint64_t element, pp_lease *lease) {
    uint64_t payload = ~element;
    pp_head head = {8, 0, PP_INLINE, 1, 0, element};
    return pp_push_small(port, &head, head.kind, &payload, sizeof payload, lease, 0);
}

/* The same for two at once. */
static inline int push_two(pp_port *port, uint64_t element) {
    uint64_t payload = ~element;
    pp_head head = {8, 0, PP_INLINE, 1, 0, element};
    pp_pack pack;
    pp_pack_begin(&pack, &head);
    pp_pack_add(&pack, &payload, sizeof payload);
    pp_pack_add(&pack, &payload, sizeof payload);
    return pp_push_pack(port, &pack);
}

/* The number of the element that was claimed. */
static inline uint64_t element_of(const pp_port *port, const pp_slot *slot) {
    (void)slot->body.get();
    return slot->head.get().index0 + port->part;
}

static inline void create_lease(pp_lease *lease) {
    new (lease) pp_lease();
    pp_store_rlx(&lease->in, 0);
    pp_store_rlx(&lease->out, 0);
    pp_store_rlx(&lease->out_ring, 0);
    pp_store_rlx(&lease->element.word, 0);
    pp_store_rlx(&lease->pack.word, 0);
    pp_store_rlx(&lease->rest, 0);
}

}  // namespace weak

#endif
