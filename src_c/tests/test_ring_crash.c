/* test_ring_crash.c - workers between two rings are killed at random and replaced: every element comes
 * out exactly once, whatever was in hand, while the other workers go on. */
#include <string.h>

#include "check.h"
#include "processes.h"
#include "ring.h"
#include "ring_elements.h"
#include "segment.h"

enum { WORKERS = 3, PARENT = 100, MOST = 20000 };
#if defined(_WIN32)
enum { KILLS = 8 }; /* each starts the program anew */
#else
enum { KILLS = 60 };
#endif

static const uint64_t WAIT_NS = 1000000000u;

typedef struct {
    pp_lease leases[WORKERS];
    unsigned char in[4096];
    unsigned char out[4096];
} world;

static pp_segment memory;

static pp_port port_of(unsigned char *ring, uint32_t owner, uint32_t producer) {
    pp_port port;
    CHECK_EQUAL(pp_port_open(&port, (pp_ring *)ring, 4096, owner, producer), PP_OK);
    return port;
}

static void work(uint32_t worker) {
    world *w = (world *)memory.base;
    pp_lease *lease = &w->leases[worker];
    pp_port in = port_of(w->in, worker + 1, 0), out = port_of(w->out, worker + 1, worker);
    for (;;) {
        if (pp_load_acq(&lease->in) == 0) {
            int status = pp_pop_lease(&in, lease);
            if (status == PP_CLOSED) break;
            if (status == PP_EMPTY) pp_wait_pop(&in, WAIT_NS);
            if (status != PP_OK) continue;
        }
        /* In hand: just taken, or left by a predecessor that was killed. */
        uint64_t element = lease->element.head.index0, payload;
        memcpy(&payload, lease->element.body.bytes, sizeof payload);
        CHECK_EQUAL(payload, ~element);
        if (pp_load_acq(&lease->out) >> PP_OUT_SHIFT == 0)
            while (push(&out, element, lease) == PP_FULL) pp_wait_push(&out, WAIT_NS);
        pp_store_rel(&lease->in, 0);
    }
    pp_push_close(&out);
}

static void replace(process *workers, uint32_t worker) {
    world *w = (world *)memory.base;
    process_kill(workers[worker]);
    pp_ring_settle((pp_ring *)w->out, &w->leases[worker], worker + 1);
    pp_ring_mend((pp_ring *)w->in, &w->leases[worker], worker + 1);
    pp_ring_mend((pp_ring *)w->out, &w->leases[worker], worker + 1);
    workers[worker] = process_start(worker);
}

static void run(uint32_t capacity, uint64_t elements, uint32_t crew, bool several) {
    static uint8_t seen[MOST];
    process workers[WORKERS];
    CHECK_EQUAL(pp_segment_create(&memory, sizeof(world)), PP_OK);
    CHECK_EQUAL(pp_segment_reserve(&memory, 0, sizeof(world)), PP_OK);
    world *w = (world *)memory.base;
    CHECK(pp_ring_bytes(capacity, WORKERS) <= sizeof w->in);
    pp_ring_create((pp_ring *)w->in, capacity, 1, true);
    pp_ring_create((pp_ring *)w->out, capacity, crew, true);
    if (several) {
        pp_ring_allow_several((pp_ring *)w->in, crew == 1);
        pp_ring_allow_several((pp_ring *)w->out, true);
    }
    pp_port in = port_of(w->in, PARENT, 0), out = port_of(w->out, PARENT, 0);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < crew; i++) workers[i] = process_start(i);
    uint64_t pushed = 0, received = 0, kills = 0, random = 777 + capacity;
    while (received < elements) {
        /* Spread over the stream, so that the kills meet workers that work. */
        if (received >= (kills + 1) * elements / (KILLS + 1)) {
            replace(workers, (uint32_t)(next_random(&random) % crew));
            kills++;
        }
        if (pushed < elements && push(&in, pushed, NULL) == PP_OK && ++pushed == elements) pp_push_close(&in);
        uint64_t element;
        int status = pop(&out, &element);
        CHECK(status == PP_OK || status == PP_EMPTY);
        if (status == PP_EMPTY) continue;
        CHECK(element < elements);
        CHECK_EQUAL(seen[element]++, 0);
        received++;
    }
    CHECK_EQUAL(kills, KILLS);
    for (uint32_t i = 0; i < crew; i++) process_join(workers[i]);
    pp_slot *slot;
    CHECK_EQUAL(pp_pop_claim(&out, &slot), PP_CLOSED);
    pp_segment_close(&memory);
}

static void no_element_is_lost_or_doubled_in_tiny_rings(void) {
    run(1, 5000, WORKERS, false);
    run(2, 5000, WORKERS, false);
    run(3, 5000, WORKERS, false);
}

static void no_element_is_lost_or_doubled_in_a_longer_ring(void) { run(40, MOST, WORKERS, false); }

static void no_element_is_lost_or_doubled_where_slots_hold_several(void) {
    run(1, 5000, WORKERS, true);
    run(3, 5000, WORKERS, true);
    run(40, MOST, WORKERS, true);
    run(3, 5000, 1, true);
    run(40, MOST, 1, true);
}

int main(int argc, char **argv) {
    processes_begin(argc, argv, (process_plan){work, {&memory}});
    RUN(no_element_is_lost_or_doubled_in_tiny_rings);
    RUN(no_element_is_lost_or_doubled_in_a_longer_ring);
    RUN(no_element_is_lost_or_doubled_where_slots_hold_several);
    return 0;
}
