/* ring_wait.c - how a port waits for the other side: docs/design/waiting.md says why so. */
#include "clock.h"
#include "ring_words.h"

/* Spinning before sleep: the time of a hand-over between two running cores, not more. */
#define SPINS 64

/* Naps, instead of spinning: see docs/design/waiting.md. Only where the content of a queue outlasts a nap (a
 * small queue would run dry or full meanwhile), and only in a fast stream: not after so many naps in which
 * nobody took anything. */
#define NAP_NS 30000u
#define LONGEST_NAP_NS 1000000u
#define NAPS 20

/* The slots of a fast stream are emptied no further apart than this. */
#define APART_NS 10000u

/* A sleeper looks around this often even when nobody wakes it: SIGSTOP between a waker's two steps,
 * and signals that another thread received, delay by no more than this. */
#define LOOK_NS 100000000u

static bool drained(pp_port *port) {
    return pp_can_push(port) && pp_ring_count(port->ring) <= port->ring->wake_below;
}

bool pp_stream_is_fast(pp_port *port, uint64_t now, bool *moved) {
    uint64_t head = pp_load_rlx(&port->ring->head), slots = head - port->seen, span = now - port->seen_at;
    port->seen = head;
    port->seen_at = now;
    *moved = slots != 0;
    return slots * APART_NS >= span;
}

/* PP_EMPTY when that is of no use any more. */
static inline int nap_while_fast(pp_port *port, uint64_t until, bool pops, bool (*rested)(pp_port *)) {
    uint64_t nap = NAP_NS;
    for (int quiet = 0; quiet < NAPS;) {
        pp_nap(nap);
        if (rested(port)) return PP_OK;
        if (pp_load_rlx(&port->ring->aborted)) return PP_ABORTED;
        uint64_t now = pp_now_ns();
        if (now >= until) return PP_TIMEOUT;
        bool moved, fast = pp_stream_is_fast(port, now, &moved);
        if (!moved) {
            quiet++;
        } else if (!fast) {
            break;
        } else if (pops && nap < LONGEST_NAP_NS) {
            nap *= 2; /* others took all there was: they do without this one */
        }
    }
    return PP_EMPTY;
}

/* Nap until several elements are there, if that is worth it; whether there are any. */
static inline bool nap_for_several(pp_port *port, uint64_t now, uint64_t until) {
    uint64_t came = port->busy - port->counted, nap = pp_patience_ask(&port->patience, came, now);
    port->counted = port->busy;
    if (nap == 0) return false;
    pp_nap(nap < until - now ? nap : until - now);
    pp_patience_judge(&port->patience, pp_ring_elements(port->ring), pp_now_ns());
    return pp_can_pop(port);
}

/* One waiting loop for both sides: `ready` ends the wait, `rested` ends a nap. */
static inline int wait_for(pp_port *port, pp_spot *spot, uint64_t timeout_ns, bool (*ready)(pp_port *),
                           bool (*rested)(pp_port *)) {
    pp_ring *ring = port->ring;
    uint64_t now = timeout_ns != 0 ? pp_now_ns() : 0;
    const uint64_t until = now + (timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS);
    const bool pops = spot == &ring->not_empty, may_nap = timeout_ns != 0 && port->capacity >= LARGE;
    bool moved, fast = may_nap && pp_stream_is_fast(port, now, &moved);
    if (may_nap && pops && !fast && nap_for_several(port, now, until)) return PP_OK;
    for (int i = 0; i < SPINS && !fast; i++) {
        if (rested(port)) return PP_OK;
        pp_relax();
    }
    if (timeout_ns == 0) return ready(port) ? PP_OK : PP_TIMEOUT;
    if (fast) {
        int rc = nap_while_fast(port, until, pops, rested);
        if (rc != PP_EMPTY) return rc;
    }
    port->busy = port->counted = 0;
    uint32_t key = pp_spot_register(spot);
    if (ready(port)) return PP_OK;
    if (pp_load_seq(&ring->aborted)) return PP_ABORTED;
    if (may_nap) now = pp_now_ns();
    int rc = pp_spot_sleep(spot, key, until > now ? until - now : 0);
    if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
    return rc;
}

void pp_port_spare_wakes(pp_port *port, uint64_t most_ns) {
    pp_patience_begin(&port->patience, most_ns);
}

int pp_wait_pop(pp_port *port, uint64_t timeout_ns) {
    return wait_for(port, &port->ring->not_empty, timeout_ns, pp_can_pop, pp_can_pop);
}

int pp_wait_push(pp_port *port, uint64_t timeout_ns) {
    return wait_for(port, &port->ring->not_full, timeout_ns, pp_can_push, drained);
}

int pp_wait_block(pp_port *port, uint64_t timeout_ns) {
    uint32_t key = pp_spot_register(&port->ring->not_full);
    if (pp_load_seq(&port->ring->aborted)) return PP_ABORTED;
    int rc = pp_spot_sleep(&port->ring->not_full, key, timeout_ns);
    return pp_load_rlx(&port->ring->aborted) ? PP_ABORTED : rc;
}
