/* test_ring.c - the ring's contract: order, exact capacity, ends, and many threads that lose nothing. */
#include <pthread.h>
#include <string.h>

#include "check.h"
#include "clock.h"
#include "ring_elements.h"
#include "ring_words.h"

static const uint64_t SECOND = 1000000000;

static uint64_t ring_bytes;

static pp_ring *new_ring(uint32_t capacity, uint32_t producers) {
    ring_bytes = pp_ring_bytes(capacity, producers);
    pp_ring *ring = aligned_zeros(ring_bytes);
    pp_ring_create(ring, capacity, producers, false);
    return ring;
}

static pp_ring *new_shared_ring(uint32_t capacity, uint32_t producers, bool sole) {
    pp_ring *ring = new_ring(capacity, producers);
    pp_ring_allow_several(ring, sole);
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

/* ---- several elements in a slot ---- */

static void elements_that_follow_one_another_share_a_slot(void) {
    for (int sole = 0; sole < 2; sole++) {
        pp_ring *ring = new_shared_ring(2, 1, sole);
        pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
        uint64_t element;
        for (uint64_t first = 0; first < 100; first += 10) {
            for (uint64_t i = 0; i < 4; i++) CHECK_EQUAL(push(&in, first + i, NULL), PP_OK);
            CHECK_EQUAL(pp_ring_count(ring), 1);
            CHECK_EQUAL(pp_ring_elements(ring), 4);
            CHECK_EQUAL(push(&in, first + 5, NULL), PP_OK); /* does not follow */
            CHECK_EQUAL(pp_ring_count(ring), 2);
            CHECK_EQUAL(push(&in, first + 8, NULL), PP_FULL);
            for (uint64_t i = 0; i < 4; i++) CHECK(pop(&out, &element) == PP_OK && element == first + i);
            CHECK(pop(&out, &element) == PP_OK && element == first + 5);
            CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
            CHECK_EQUAL(pp_ring_elements(ring), 0);
        }
        free_aligned(ring);
    }
}

static void a_slot_that_somebody_has_begun_with_is_not_added_to(void) {
    pp_ring *ring = new_shared_ring(3, 1, false);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    uint64_t element;
    CHECK_EQUAL(push(&in, 0, NULL), PP_OK);
    CHECK_EQUAL(push(&in, 1, NULL), PP_OK);
    CHECK(pop(&out, &element) == PP_OK && element == 0);
    CHECK_EQUAL(push(&in, 2, NULL), PP_OK);
    CHECK_EQUAL(pp_ring_count(ring), 2);
    CHECK(pop(&out, &element) == PP_OK && element == 1);
    CHECK(pop(&out, &element) == PP_OK && element == 2);
    free_aligned(ring);
}

static void an_idle_consumer_takes_what_another_is_slow_to_come_to(void) {
    pp_ring *ring = new_shared_ring(4, 1, false);
    pp_port in = port_of(ring, 1, 0), slow = port_of(ring, 2, 0), idle = port_of(ring, 3, 0);
    uint64_t element;
    for (uint64_t i = 0; i < 3; i++) CHECK_EQUAL(push(&in, i, NULL), PP_OK);
    CHECK(pop(&slow, &element) == PP_OK && element == 0);
    CHECK_EQUAL(push(&in, 10, NULL), PP_OK);
    /* In a fast stream one that nobody has begun with comes first, then the rest of the other's. */
    idle.busy = 1000;
    CHECK(pop(&idle, &element) == PP_OK && element == 10);
    CHECK(pop(&idle, &element) == PP_OK && element == 1);
    CHECK_EQUAL(pp_wait_pop(&slow, 0), PP_OK);
    CHECK(pop(&slow, &element) == PP_OK && element == 2);
    CHECK_EQUAL(pop(&idle, &element), PP_EMPTY);
    CHECK_EQUAL(pp_wait_pop(&slow, 0), PP_TIMEOUT);
    pp_push_close(&in);
    CHECK_EQUAL(pop(&slow, &element), PP_CLOSED);
    free_aligned(ring);
}

static void in_a_slow_stream_the_oldest_element_comes_first(void) {
    pp_ring *ring = new_shared_ring(4, 1, false);
    pp_port in = port_of(ring, 1, 0), one = port_of(ring, 2, 0), two = port_of(ring, 3, 0);
    uint64_t element;
    for (uint64_t i = 0; i < 12; i++) CHECK_EQUAL(push(&in, i, NULL), PP_OK);
    CHECK_EQUAL(pp_ring_count(ring), 3);
    for (uint64_t i = 0; i < 12; i += 2) {
        CHECK(pop(&one, &element) == PP_OK && element == i);
        CHECK(pop(&two, &element) == PP_OK && element == i + 1);
    }
    free_aligned(ring);
}

static void how_fast_a_stream_is_all_who_take_make_out(void) {
    pp_ring *ring = new_ring(1024, 1);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0), idle = port_of(ring, 3, 0);
    uint64_t element, microsecond = 1000;
    bool moved;
    CHECK(!pp_stream_is_fast(&idle, 1000 * SECOND, &moved) && !moved);
    for (int i = 0; i < 100; i++) CHECK(push(&in, i, NULL) == PP_OK && pop(&out, &element) == PP_OK);
    CHECK(pp_stream_is_fast(&idle, 1000 * SECOND + 900 * microsecond, &moved) && moved);
    /* Nothing since then; and then one at a time: question and answer. */
    CHECK(!pp_stream_is_fast(&idle, 1000 * SECOND + 930 * microsecond, &moved) && !moved);
    for (uint64_t i = 1; i < 5; i++) {
        CHECK(push(&in, i, NULL) == PP_OK && pop(&out, &element) == PP_OK);
        CHECK(!pp_stream_is_fast(&idle, 1000 * SECOND + (930 + 30 * i) * microsecond, &moved) && moved);
    }
    free_aligned(ring);
}

static void who_is_not_needed_in_a_fast_stream_asks_for_no_wake(void) {
    pp_ring *ring = new_ring(1024, 1);
    pp_port idle = port_of(ring, 1, 0);
    idle.seen_at = pp_now_ns();
    idle.seen = ring->head - 1000000; /* as if others had emptied so many slots since */
    CHECK_EQUAL(pp_wait_pop(&idle, 200000), PP_TIMEOUT);
    CHECK_EQUAL(pp_load_acq(&ring->not_empty.waiters), 0);
    CHECK_EQUAL(pp_wait_pop(&idle, 200000), PP_TIMEOUT); /* nobody takes anything any more */
    CHECK_EQUAL(pp_load_acq(&ring->not_empty.waiters), 1);
    free_aligned(ring);
}

static void while_one_is_read_the_others_of_a_slot_are_neither_there_nor_the_end(void) {
    pp_ring *ring = new_shared_ring(2, 1, false);
    pp_port in = port_of(ring, 1, 0), reader = port_of(ring, 2, 0), other = port_of(ring, 3, 0);
    pp_slot *slot;
    uint64_t element;
    CHECK_EQUAL(push(&in, 0, NULL), PP_OK);
    CHECK_EQUAL(push(&in, 1, NULL), PP_OK);
    pp_push_close(&in);
    CHECK_EQUAL(pp_pop_claim(&reader, &slot), PP_OK);
    CHECK_EQUAL(pop(&other, &element), PP_EMPTY);
    /* Nor is it any use to look again: who waits sleeps, until it is told. */
    CHECK_EQUAL(pp_wait_pop(&other, 1000000), PP_TIMEOUT);
    CHECK_EQUAL(pp_load_acq(&ring->not_empty.waiters), 1);
    pp_pop_free(&reader, slot);
    CHECK_EQUAL(pp_load_acq(&ring->not_empty.waiters), 0);
    CHECK(pop(&other, &element) == PP_OK && element == 1);
    /* A third has seen an element in the hands of the second, and sleeps. */
    pp_spot_register(&ring->not_empty);
    CHECK_EQUAL(pop(&other, &element), PP_CLOSED);
    CHECK_EQUAL(pp_load_acq(&ring->not_empty.waiters), 0);
    CHECK_EQUAL(pp_wait_pop(&reader, 1000000), PP_OK);
    CHECK_EQUAL(pop(&reader, &element), PP_CLOSED);
    free_aligned(ring);
}

static void what_was_to_be_added_and_is_cancelled_leaves_the_others(void) {
    pp_ring *ring = new_shared_ring(2, 1, true);
    pp_port in = port_of(ring, 1, 0), out = port_of(ring, 2, 0);
    pp_slot *slot;
    uint64_t element;
    CHECK_EQUAL(push(&in, 0, NULL), PP_OK);
    CHECK(pp_push_reopen(&in, &slot));
    CHECK_EQUAL(in.part, 1);
    CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    pp_push_cancel(&in, slot);
    CHECK(pop(&out, &element) == PP_OK && element == 0);
    CHECK_EQUAL(pop(&out, &element), PP_EMPTY);
    free_aligned(ring);
}

static void a_slot_takes_no_more_than_it_has_room_for(void) {
    pp_tip tip;
    pp_head head = {.kind = PP_INLINE, .depth = 1, .nbytes = 1};
    unsigned char body[PP_BODY_BYTES];
    uint32_t nbytes, parts = 1;
    memset(body, 7, sizeof body);
    pp_tip_begin(&tip, &head, 1);
    for (;; parts++) {
        pp_head next = head;
        next.index0 = parts;
        if (!pp_tip_admits(&tip, &next, PP_INLINE, 2)) break;
        unsigned char *room = pp_tip_add(&tip, body, 2);
        CHECK(room >= body && room + 2 <= body + sizeof body);
        room[0] = room[1] = (unsigned char)parts;
    }
    CHECK_EQUAL(parts, 1 + (PP_BODY_BYTES - 1) / 3);
    for (uint32_t i = 1; i < parts; i++) {
        const unsigned char *at = pp_part(&head, body, i, &nbytes);
        CHECK(at != NULL && nbytes == 2 && at[0] == i && at[1] == i);
    }
    /* Lengths that lead out of the slot are refused. */
    body[1] = 200;
    CHECK(pp_part(&head, body, 1, &nbytes) == NULL);
    CHECK(pp_part(&head, body, 2, &nbytes) == NULL);
    head.nbytes = 4000;
    CHECK(pp_part(&head, body, 1, &nbytes) == NULL);
    head.kind = PP_BLOCK;
    CHECK(pp_part(&head, body, 1, &nbytes) == NULL);
}

/* ---- threads ---- */

enum { MOST = 60000, SIDES = 3 };

static pp_ring *ring_of_threads;
static pp_a32 times[MOST];
static uint32_t elements, sides;
static bool shares; /* each producer's elements follow one another, and share slots */
/* What threads of one process have in a queue that processes share: claims are told apart by their slots. */
static bool one_owner;

static void *produce(void *argument) {
    uint32_t which = (uint32_t)(uintptr_t)argument;
    pp_port port = port_of(ring_of_threads, one_owner ? 1 : which + 1, which);
    uint64_t share = elements / sides;
    for (uint64_t i = 0; i < share; i++) {
        uint64_t element = shares ? which * share + i : i * sides + which;
        int status;
        while ((status = push(&port, element, NULL)) == PP_FULL) pp_wait_push(&port, 10 * (uint64_t)SECOND);
        CHECK_EQUAL(status, PP_OK);
    }
    pp_push_close(&port);
    return NULL;
}

static void *consume(void *argument) {
    uint32_t which = (uint32_t)(uintptr_t)argument;
    pp_port port = port_of(ring_of_threads, one_owner ? 1 : which + 100, 0);
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
        if (!shares) {
            CHECK((int64_t)element > last[element % sides]); /* of one producer, in its order */
            last[element % sides] = (int64_t)element;
        }
        pp_add_rlx(&times[element], 1);
    }
}

static void run_on(pp_ring *ring, uint32_t count, uint32_t producing, uint32_t consuming) {
    ring_of_threads = ring;
    sides = producing;
    elements = count / sides * sides;
    memset((void *)times, 0, sizeof times);
    pthread_t threads[2 * SIDES];
    uint32_t n = 0;
    for (uintptr_t i = 0; i < producing; i++)
        CHECK_EQUAL(pthread_create(&threads[n++], NULL, produce, (void *)i), 0);
    for (uintptr_t i = 0; i < consuming; i++)
        CHECK_EQUAL(pthread_create(&threads[n++], NULL, consume, (void *)i), 0);
    for (uint32_t i = 0; i < n; i++) CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    for (uint32_t i = 0; i < elements; i++) CHECK_EQUAL(pp_load_rlx(&times[i]), 1);
    free_aligned(ring_of_threads);
}

static void run_threads(uint32_t capacity, uint32_t count, uint32_t of_each) {
    shares = false;
    run_on(new_ring(capacity, of_each), count, of_each, of_each);
}

static void run_sharing(uint32_t capacity, uint32_t count, uint32_t producing, uint32_t consuming) {
    shares = true;
    run_on(new_shared_ring(capacity, producing, consuming == 1), count, producing, consuming);
}

static void slots_that_hold_several_move_everything_once(void) {
    static const uint32_t capacities[] = {1, 2, 3, 100, 4096};
    for (unsigned i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        uint32_t count = i < 3 ? 6000 : MOST;
        run_sharing(capacities[i], count, 1, 1);
        run_sharing(capacities[i], count, SIDES, 1);
        run_sharing(capacities[i], count, 1, SIDES);
        run_sharing(capacities[i], count, SIDES, SIDES);
    }
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

static void ports_of_one_owner_move_everything_once(void) {
    one_owner = true;
    many_producers_and_consumers_move_everything_once();
    one_owner = false;
}

int main(void) {
    RUN(elements_come_out_in_order_and_capacity_is_exact);
    RUN(what_is_no_ring_is_refused);
    RUN(it_is_closed_when_all_producers_closed_and_nothing_is_left);
    RUN(an_aborted_ring_gives_and_takes_nothing);
    RUN(a_cancelled_claim_is_a_hole_that_consumers_pass);
    RUN(waiting_ends_with_the_time_given);
    RUN(a_slot_that_is_being_written_is_neither_there_nor_the_end);
    RUN(elements_that_follow_one_another_share_a_slot);
    RUN(a_slot_that_somebody_has_begun_with_is_not_added_to);
    RUN(an_idle_consumer_takes_what_another_is_slow_to_come_to);
    RUN(in_a_slow_stream_the_oldest_element_comes_first);
    RUN(how_fast_a_stream_is_all_who_take_make_out);
    RUN(who_is_not_needed_in_a_fast_stream_asks_for_no_wake);
    RUN(while_one_is_read_the_others_of_a_slot_are_neither_there_nor_the_end);
    RUN(what_was_to_be_added_and_is_cancelled_leaves_the_others);
    RUN(a_slot_takes_no_more_than_it_has_room_for);
    RUN(one_producer_and_one_consumer_move_everything_once);
    RUN(many_producers_and_consumers_move_everything_once);
    RUN(slots_that_hold_several_move_everything_once);
    RUN(ports_of_one_owner_move_everything_once);
    return 0;
}
