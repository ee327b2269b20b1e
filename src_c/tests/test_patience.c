/* test_patience.c - naps come where they do no harm, and nowhere else. */
#include "check.h"
#include "patience.h"

enum { US = 1000, MOST = 1000 * US };

/* A stream as its consumer sees it: elements that come by themselves, or only for those that were taken. */
typedef struct {
    uint64_t now, apart; /* ns; from one element to the next */
    uint64_t in_flight;  /* 0: a source that waits for nobody */
    uint64_t uneven;     /* up to so many elements more or fewer come in a nap */
    uint64_t taken, asked, naps, longest, random;
} stream;

/* Wait for the next element, after a nap or without one, and take all that is there. */
static void wait_once(stream *s, pp_patience *p) {
    uint64_t nap = pp_patience_ask(p, s->taken - s->asked, s->now);
    s->asked = s->taken;
    if (nap == 0) return;
    s->naps++;
    if (nap > s->longest) s->longest = nap;
    uint64_t there = nap / s->apart;
    if (s->uneven != 0) {
        s->random = s->random * 6364136223846793005u + 1442695040888963407u;
        there += (s->random >> 33) % (2 * s->uneven + 1) - s->uneven;
    }
    if (s->in_flight != 0 && there > s->in_flight) there = s->in_flight;
    s->now += nap;
    pp_patience_judge(p, there, s->now);
    s->taken += there;
}

static void go_on(stream *s, pp_patience *p, uint64_t elements) {
    uint64_t end = s->taken + elements;
    while (s->taken < end) {
        s->now += s->apart;
        s->taken++;
        wait_once(s, p);
    }
}

static void a_steady_stream_is_napped_over(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = 50 * US};
    go_on(&s, &p, PP_LEAST_AWAKE);
    CHECK_EQUAL(s.naps, 0);
    go_on(&s, &p, 10000);
    /* Twenty elements or so to a nap, and now and then waits to measure by. */
    CHECK(s.naps > 400 && s.naps < 600);
    CHECK(s.longest <= MOST);
}

static void an_uneven_one_as_well(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = 50 * US, .uneven = 2};
    go_on(&s, &p, 100000);
    CHECK(s.naps > 4500 && s.naps < 5500);
}

static void a_faster_one_in_naps_that_grow(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = 10 * US};
    go_on(&s, &p, 20000);
    CHECK_EQUAL(s.longest, MOST);
    CHECK(s.naps > 200 && s.naps < 500);
}

static void a_slow_stream_is_not(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = MOST / PP_NAP_LEAST + US};
    go_on(&s, &p, 10000);
    CHECK_EQUAL(s.naps, 0);
}

static void nor_one_that_waits_for_its_consumer(void) {
    for (uint64_t in_flight = 1; in_flight < PP_NAP_FIRST * 3 / 4; in_flight++) {
        for (uint64_t apart = 20 * US; apart < MOST / PP_NAP_LEAST; apart += 20 * US) {
            pp_patience p;
            pp_patience_begin(&p, MOST);
            stream s = {.now = 1, .apart = apart, .in_flight = in_flight};
            if (in_flight * apart > MOST / 2) continue; /* then a nap does little harm, or none */
            go_on(&s, &p, 100000);
            /* After 32, 64, ... 4096 waits, and then each time 4096: one to find out, or a few. */
            CHECK(s.naps >= 8 && s.naps < 160);
            CHECK(s.now < s.taken * s.apart * 105 / 100);
        }
    }
}

static void one_that_begins_to_wait_is_noticed_soon(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = 50 * US};
    go_on(&s, &p, 3000);
    CHECK(s.naps > 100);
    uint64_t naps = s.naps;
    s.in_flight = 1;
    go_on(&s, &p, PP_LEAST_AWAKE);
    CHECK(s.naps - naps <= 3);
}

static void one_with_more_in_flight_loses_little(void) {
    for (uint64_t in_flight = 1; in_flight < 200; in_flight++) {
        for (uint64_t apart = 10 * US; apart < MOST / PP_NAP_LEAST; apart += 30 * US) {
            pp_patience p;
            pp_patience_begin(&p, MOST);
            stream s = {.now = 1, .apart = apart, .in_flight = in_flight};
            go_on(&s, &p, 100000);
            CHECK(s.now < s.taken * s.apart * 104 / 100);
        }
    }
}

static void the_time_that_everything_takes_to_start_does_not_count(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    CHECK_EQUAL(pp_patience_ask(&p, 0, 5 * MOST), 0); /* the first wait, before there is anything */
    stream s = {.now = 50 * MOST, .apart = 50 * US};
    pp_patience_ask(&p, 1, s.now);
    go_on(&s, &p, 2 * PP_LEAST_AWAKE);
    CHECK_EQUAL(p.apart_ns, 50 * US);
    CHECK(s.naps > 0);
}

static void a_stream_that_slows_down_is_measured_again(void) {
    pp_patience p;
    pp_patience_begin(&p, MOST);
    stream s = {.now = 1, .apart = 20 * US};
    go_on(&s, &p, 5000);
    CHECK(s.naps > 0);
    s.apart = 400 * US;
    go_on(&s, &p, 5 * PP_LEAST_AWAKE);
    uint64_t naps = s.naps;
    go_on(&s, &p, 5000);
    CHECK_EQUAL(s.naps, naps);
}

static void nobody_naps_who_was_not_asked_to(void) {
    pp_patience p = {0};
    stream s = {.now = 1, .apart = 50 * US};
    go_on(&s, &p, 10000);
    CHECK_EQUAL(s.naps, 0);
}

int main(void) {
    RUN(a_steady_stream_is_napped_over);
    RUN(an_uneven_one_as_well);
    RUN(a_faster_one_in_naps_that_grow);
    RUN(a_slow_stream_is_not);
    RUN(nor_one_that_waits_for_its_consumer);
    RUN(one_that_begins_to_wait_is_noticed_soon);
    RUN(one_with_more_in_flight_loses_little);
    RUN(the_time_that_everything_takes_to_start_does_not_count);
    RUN(a_stream_that_slows_down_is_measured_again);
    RUN(nobody_naps_who_was_not_asked_to);
    return 0;
}
