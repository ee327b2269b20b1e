/* ring_wait.c - how a port waits for the other side: docs/design/waiting.md says why so. */
#include "ring_words.h"

/* Spinning before sleep: the time of a hand-over between two running cores, not more. */
#define SPINS 64

/* Naps, instead of spinning: see docs/design/waiting.md. Only where the content of a queue outlasts a nap (a
 * small queue would run dry or full meanwhile), only in a fast stream, and only for about two milliseconds. A
 * stream that has brought fewer than NAP_WORTH elements since the last nap is not fast any more. */
#define NAP_NS 30000u
#define NAP_WORTH 8u
#define NAPS 20

/* A sleeper looks around this often even when nobody wakes it: SIGSTOP between a waker's two steps,
 * and signals that another thread received, delay by no more than this. */
#define LOOK_NS 100000000u

static bool drained(pp_port *port) {
    return pp_can_push(port) && pp_ring_count(port->ring) <= port->ring->wake_below;
}

/* Whether the stream is fast, and the queue holds what comes in during a nap. */
static bool may_nap(pp_port *port) {
    if (port->busy - port->napped < NAP_WORTH && port->napped != 0) port->busy = 0;
    port->napped = port->busy >= FAST && port->capacity >= LARGE ? port->busy : 0;
    return port->napped != 0;
}

/* One waiting loop for both sides: `ready` ends the wait, `rested` ends a nap. */
static inline int wait_for(pp_port *port, pp_spot *spot, uint64_t timeout_ns, bool (*ready)(pp_port *),
                           bool (*rested)(pp_port *)) {
    pp_ring *ring = port->ring;
    const bool naps = timeout_ns != 0 && may_nap(port);
    for (int i = 0; i < SPINS && !naps; i++) {
        if (rested(port)) return PP_OK;
        pp_relax();
    }
    if (timeout_ns == 0) return ready(port) ? PP_OK : PP_TIMEOUT;
    for (int i = 0; i < NAPS && naps; i++) {
        pp_nap(NAP_NS);
        if (rested(port)) return PP_OK;
        if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
    }
    port->busy = port->napped = 0;
    uint64_t span = timeout_ns < LOOK_NS ? timeout_ns : LOOK_NS;
    uint32_t key = pp_spot_register(spot);
    if (ready(port)) return PP_OK;
    if (pp_load_seq(&ring->aborted)) return PP_ABORTED;
    int rc = pp_spot_sleep(spot, key, span);
    if (pp_load_rlx(&ring->aborted)) return PP_ABORTED;
    return rc;
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
