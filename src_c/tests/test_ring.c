/* test_ring.c - the ring's contract: order, exact capacity, ends, and many threads that lose nothing. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "ring.h"
#include "ring_elements.h"

enum { SECOND = 1000000000 };

static uint64_t ring_bytes;

static pp_ring *new_ring(uint32_t capacity, uint32_t producers) {
    ring_bytes = pp_ring_bytes(capacity, producers);
    pp_ring *ring = aligned_zeros(ring_bytes);
    pp_ring_create(ring, capacity, producers, false);
    return ring;
}

static pp_port port_of(pp_ring *ring, uint32_t owner, uint32_t producer) {
    pp_port port;
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, owner, producer), PP_OK);
    return port;
}

static void elements_come_out_in_order_and_capacity_is_exact(void) {
    static const uint32_t capacities[] = {1, 2, 3, 4, 7, 64};
    for (unsigned c = 0; c < sizeof capacities / sizeof *capacities; c++) {
        pp_ring *ring = new_ring(capacities[c], 1);
        pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
        uint64_t pushed = 0, popped = 0, random = 99, element;
        while (popped < 5000) {
            if (next_random(&random) % 2) {
                int status = push(&in, pushed, NULL);
                CHECK_EQUAL(status, pushed - popped == capacities[c] ? PP_FULL : PP_OK);
                pushed += status == PP_OK;
            } else {
                int status = pop(&out, &element);
                CHECK_EQUAL(status, pushed == popped ? PP_EMPTY : PP_OK);
                if (status == PP_OK) CHECK_EQUAL(element, popped++);
            }
            CHECK_EQUAL(pp_ring_count(ring), pushed - popped);
        }
        free_aligned(ring);
    }
}

static void what_is_no_ring_is_refused(void) {
    pp_ring *ring = new_ring(4, 2);
    pp_port port;
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes - 1, 1, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, 0, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, PP_OWNER_MAX + 1, 0), PP_CORRUPT);
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, 1, 2), PP_CORRUPT);
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, PP_OWNER_MAX, 1), PP_OK);
    ring->magic++;
    CHECK_EQUAL(pp_port_open(&port, ring, ring_bytes, 1, 0), PP_CORRUPT);
    free_aligned(ring);
}

static void it_is_closed_when_all_producers_closed_and_nothing_is_left(void) {
    pp_ring *ring = new_ring(4, 3);
    pp_port first = port_of(ring, 1, 0), second = port_of(ring, 2, 1), out = port_of(ring, 4, 0);
    uint64_t element;
    CHECK_EQUAL(push(&first, 10, NULL), PP_OK);
    pp_push_close(&first);
    pp_push_close(&first);
    pp_ring_close_for(ring, 2);
    pp_ring_close_for(ring, 7); /* there is none: no harm */
    CHECK_EQUAL(push(&second, 11, NULL), PP_OK);
    CHECK(pop(&out, &element) == PP_OK && element == 10);
    CHECK(pop(&out, &element) == PP_OK && element == 11);
    CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    CHECK(!pp_ring_closed(ring));
    CHECK_EQUAL(push(&second, 12, NULL), PP_OK);
    pp_push_close(&second);
    CHECK(pp_ring_closed(ring));
    CHECK(pop(&out, &element) == PP_OK && element == 12);
    CHECK_EQUAL(pop(&out, &element), PP_CLOSED);
    CHECK_EQUAL(pp_wait_pop(&out, SECOND), PP_OK); /* there is an end to be seen */
    free_aligned(ring);
}

static void an_aborted_ring_gives_and_takes_nothing(void) {
    pp_ring *ring = new_ring(2, 1);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    uint64_t element;
    CHECK_EQUAL(push(&in, 1, NULL), PP_OK);
    CHECK_EQUAL(push(&in, 2, NULL), PP_OK);
    pp_ring_abort(ring, -1);
    CHECK_EQUAL(push(&in, 3, NULL), PP_ABORTED);
    CHECK_EQUAL(pop(&out, &element), PP_ABORTED);
    CHECK_EQUAL(pp_wait_push(&in, SECOND), PP_ABORTED);
    free_aligned(ring);
}

static void a_cancelled_claim_is_a_hole_that_consumers_pass(void) {
    pp_ring *ring = new_ring(3, 1);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    uint64_t element;
    for (int lap = 0; lap < 10; lap++) {
        pp_slot *slot;
        CHECK_EQUAL(push(&in, 1, NULL), PP_OK);
        CHECK_EQUAL(pp_push_claim(&in, &slot), PP_OK);
        pp_push_cancel(&in, slot);
        CHECK_EQUAL(push(&in, 2, NULL), PP_OK);
        CHECK(pop(&out, &element) == PP_OK && element == 1);
        CHECK(pop(&out, &element) == PP_OK && element == 2);
        CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    }
    free_aligned(ring);
}

static void waiting_ends_with_the_time_given(void) {
    pp_ring *ring = new_ring(1, 1);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    CHECK_EQUAL(pp_wait_pop(&out, 0), PP_TIMEOUT);
    CHECK_EQUAL(pp_wait_pop(&out, 1000000), PP_TIMEOUT);
    CHECK_EQUAL(pp_wait_push(&in, 0), PP_OK);
    CHECK_EQUAL(push(&in, 1, NULL), PP_OK);
    CHECK_EQUAL(pp_wait_push(&in, 0), PP_TIMEOUT);
    CHECK_EQUAL(pp_wait_push(&in, 1000000), PP_TIMEOUT);
    CHECK_EQUAL(pp_wait_pop(&out, 0), PP_OK);
    free_aligned(ring);
}

static void a_slot_that_is_being_written_is_neither_there_nor_the_end(void) {
    pp_ring *ring = new_ring(2, 1);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    pp_slot *slot;
    uint64_t element;
    CHECK_EQUAL(pp_push_claim(&in, &slot), PP_OK);
    pp_push_close(&in);
    CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    pp_push_cancel(&in, slot);
    CHECK_EQUAL(pop(&out, &element), PP_CLOSED);
    free_aligned(ring);
}

/* ---- threads ---- */

enum { MOST = 60000, SIDES = 3 };

static pp_ring *ring_of_threads;
static pp_a32 times[MOST];
static uint32_t elements, sides;

static void *produce(void *argument) {
    uint32_t which = (uint32_t)(uintptr_t)argument;
    pp_port port = port_of(ring_of_threads, which + 1, which);
    for (uint64_t element = which; element < elements; element += sides) {
        int status;
        while ((status = push(&port, element, NULL)) == PP_FULL) pp_wait_push(&port, 10 * (uint64_t)SECOND);
        CHECK_EQUAL(status, PP_OK);
    }
    pp_push_close(&port);
    return NULL;
}

static void *consume(void *argument) {
    uint32_t which = (uint32_t)(uintptr_t)argument;
    pp_port port = port_of(ring_of_threads, which + 100, 0);
    int64_t last[SIDES] = {-1, -1, -1};
    for (;;) {
        uint64_t element;
        int status = pop(&port, &element);
        if (status == PP_CLOSED) return NULL;
        if (status == PP_EMPTY) {
            pp_wait_pop(&port, 10 * (uint64_t)SECOND);
            continue;
        }
        CHECK_EQUAL(status, PP_OK);
        CHECK(element < elements);
        CHECK((int64_t)element > last[element % sides]); /* of one producer, in its order */
        last[element % sides] = (int64_t)element;
        pp_add_rlx(&times[element], 1);
    }
}

static void run_threads(uint32_t capacity, uint32_t count, uint32_t of_each) {
    ring_of_threads = new_ring(capacity, of_each);
    elements = count;
    sides = of_each;
    memset((void *)times, 0, sizeof times);
    pthread_t threads[2 * SIDES];
    for (uintptr_t i = 0; i < of_each; i++) {
        CHECK_EQUAL(pthread_create(&threads[2 * i], NULL, produce, (void *)i), 0);
        CHECK_EQUAL(pthread_create(&threads[2 * i + 1], NULL, consume, (void *)i), 0);
    }
    for (uint32_t i = 0; i < 2 * of_each; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    for (uint32_t i = 0; i < count; i++) CHECK_EQUAL(pp_load_rlx(&times[i]), 1);
    free_aligned(ring_of_threads);
}

static void one_producer_and_one_consumer_move_everything_once(void) {
    run_threads(1, 3000, 1);
    run_threads(2, 3000, 1);
    run_threads(3, 3000, 1);
    run_threads(100, 20000, 1);
    run_threads(4096, MOST, 1);
}

static void many_producers_and_consumers_move_everything_once(void) {
    run_threads(1, 3000, SIDES);
    run_threads(2, 3000, SIDES);
    run_threads(3, 3000, SIDES);
    run_threads(100, 20000, SIDES);
    run_threads(4096, MOST, SIDES);
}

int main(void) {
    RUN(elements_come_out_in_order_and_capacity_is_exact);
    RUN(what_is_no_ring_is_refused);
    RUN(it_is_closed_when_all_producers_closed_and_nothing_is_left);
    RUN(an_aborted_ring_gives_and_takes_nothing);
    RUN(a_cancelled_claim_is_a_hole_that_consumers_pass);
    RUN(waiting_ends_with_the_time_given);
    RUN(a_slot_that_is_being_written_is_neither_there_nor_the_end);
    RUN(one_producer_and_one_consumer_move_everything_once);
    RUN(many_producers_and_consumers_move_everything_once);
    return 0;
}
