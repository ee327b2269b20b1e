/* test_wait_steps.c - deaths around a wait: of one who registers, looks, sleeps and wakes, and of those who
 * wake others.  At every instruction; and whoever else waits is woken.
 *
 * Those who wait here sleep until they are woken: the ring's own waits look around every tenth of a second,
 * which would hide a wake that was lost.
 */
#include "operations.h"
#include "steps.h"

static const uint64_t FOREVER_NS = (uint64_t)STEPS_WATCHDOG_S * 1000000000u;

/* The protocol of park.h, with an attempt as the look. What the attempt says at last. */
static int wait_and_take(actor *who, uint64_t *element) {
    for (;;) {
        int status = take(who, &who->out, element);
        if (status != PP_EMPTY) return status;
        uint32_t key = pp_spot_register(&who->out.ring->not_empty);
        status = take(who, &who->out, element);
        if (status != PP_EMPTY) return status;
        if (pp_spot_sleep(&who->out.ring->not_empty, key, FOREVER_NS) != PP_OK) return PP_TIMEOUT;
    }
}

static int wait_and_put(actor *who, uint64_t element) {
    for (;;) {
        int status = put(who, &who->out, element, false, NULL);
        if (status != PP_FULL) return status;
        uint32_t key = pp_spot_register(&who->out.ring->not_full);
        status = put(who, &who->out, element, false, NULL);
        if (status != PP_FULL) return status;
        if (pp_spot_sleep(&who->out.ring->not_full, key, FOREVER_NS) != PP_OK) return PP_TIMEOUT;
    }
}

/* ---- the other one, who lives and waits ---- */

static int rival_consumes(void) {
    uint64_t element;
    int status = wait_and_take(&actors[RIVAL], &element);
    if (status == PP_OK) pp_store_rel(&WORLD->popped, (uint32_t)element + 1);
    return status;
}

static int rival_produces(void) { return wait_and_put(&actors[RIVAL], OF_RIVAL); }

/* Exits with the status; returns once it sleeps. */
static pid_t start_sleeper(int (*wait)(void), const pp_spot *spot) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) _exit(wait());
    while (pp_load_acq(&spot->waiters) == 0 || process_state(pid) != 'S') sched_yield();
    return pid;
}

/* Its exit status; 255 when nothing wakes it. Called when it must wake. */
static int end_sleeper(pid_t pid) {
    int status;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* ---- those who die ---- */

static void dies_consuming(void) {
    uint64_t element = 0;
    outcome(wait_and_take(DEAD_ACTOR, &element));
}

static void dies_producing(void) { outcome(wait_and_put(DEAD_ACTOR, OF_DEAD)); }

static void dies_waking_consumer(void) { outcome(put(DEAD_ACTOR, &DEAD_ACTOR->out, OF_DEAD, false, NULL)); }

static void dies_waking_producer(void) {
    uint64_t element = 0;
    outcome(take(DEAD_ACTOR, &DEAD_ACTOR->out, &element));
}

static void dies_closing(void) { do_close(); }

static void dies_aborting(void) {
    pp_ring_abort(DEAD_ACTOR->out.ring, -1);
    outcome(PP_OK);
}

/* ---- what is tried ---- */

typedef struct {
    const char *name;
    void (*act)(void);
    int (*sleeper)(void);
    bool sleeps;  /* act itself goes to sleep */
    bool full;    /* the ring is, at first */
    int finally;  /* what the sleeper is told in the end */
} wait_row;

static const wait_row rows[] = {
    {"wait for an element", dies_consuming, rival_consumes, .sleeps = true, .finally = PP_OK},
    {"wait for room", dies_producing, rival_produces, .sleeps = true, .full = true, .finally = PP_OK},
    {"wake a consumer", dies_waking_consumer, rival_consumes, .finally = PP_OK},
    {"wake a producer", dies_waking_producer, rival_produces, .full = true, .finally = PP_OK},
    {"close, with a consumer asleep", dies_closing, rival_consumes, .finally = PP_CLOSED},
    {"abort, with a consumer asleep", dies_aborting, rival_consumes, .finally = PP_ABORTED},
    {"abort, with a producer asleep", dies_aborting, rival_produces, .full = true, .finally = PP_ABORTED},
};

static pp_spot *spot_of(const wait_row *r) {
    pp_ring *ring = (pp_ring *)WORLD->out;
    return r->full ? &ring->not_full : &ring->not_empty;
}

static void prepare(const wait_row *r) {
    static const queue_state beside = {"beside", 1, .filled = 0};
    queue_state state = {"", 2, .laps = 5, .filled = r->full ? 2 : 0};
    make_world(&beside, &state);
}

/* Up to `index` instructions; false when it has returned before. An instruction that sleeps is where it is
 * left, unless `wake` lets it go on. */
static bool walk(const walker *w, uint64_t index, void (*wake)(void), bool *asleep) {
    *asleep = false;
    for (uint64_t i = 0; i < index; i++) {
        enum walk step = walker_step_or_sleep(w);
        if (step == RETURNED) return false;
        if (step == WALKED) continue;
        if (wake == NULL || i + 1 == index) {
            *asleep = true;
            return true;
        }
        wake();
        walker_woken(w);
    }
    return true;
}

/* What lets the one that dies come back from its sleep, before it dies. */
static void give_it_an_element(void) {
    CHECK_EQUAL(put(&actors[SURVIVOR], &actors[SURVIVOR].out, OF_SURVIVOR, false, NULL), PP_OK);
}

static void give_it_room(void) {
    uint64_t element;
    CHECK_EQUAL(take(&actors[SURVIVOR], &actors[SURVIVOR].out, &element), PP_OK);
}

/* The death is proven and mended. What the sleeper waits for then happens, if it has not. */
static void let_sleeper_go(const wait_row *r) {
    actor *who = &actors[SURVIVOR];
    uint64_t element;
    switch (r->finally) {
        case PP_OK:
            if (r->full) take(who, &who->out, &element);
            if (!r->full) put(who, &who->out, OF_SURVIVOR + 1, false, NULL);
            return;
        case PP_CLOSED:
            for (uint32_t i = 0; i < ACTORS - 1; i++) pp_ring_close_for(who->out.ring, i);
            return;
        default: pp_ring_abort(who->out.ring, -1);
    }
}

enum { ANOTHER_ASLEEP, NOT_NOTICED, WOKEN_BEFORE, CASES };
static const char *const case_names[] = {"another one asleep", "another one asleep, death unnoticed",
                                         "woken before"};

/* One death: true when there is nothing further to walk to. */
static bool die_at(const wait_row *r, uint64_t index, int which, tally *sum) {
    tally one = {.points = 1};
    prepare(r);
    pid_t sleeper = 0;
    void (*wake)(void) = NULL;
    if (which == WOKEN_BEFORE)
        wake = r->full ? give_it_room : give_it_an_element; /* it is the first to sleep */
    else
        sleeper = start_sleeper(r->sleeper, spot_of(r));
    walker w = walker_start(r->act);
    bool asleep, returned = !walk(&w, index, wake, &asleep);
    walker_kill(&w);
    if (which != NOT_NOTICED) repair();
    if (which == WOKEN_BEFORE) {
        /* As it was for the one that died: now for another. */
        unsigned seen[MOST_ELEMENTS] = {0};
        drain(&actors[SURVIVOR].out, seen, &one);
        for (int i = 0; r->full && i < 2; i++) give_it_an_element();
        sleeper = start_sleeper(r->sleeper, spot_of(r));
    }
    let_sleeper_go(r);
    int told = end_sleeper(sleeper);
    if (told != r->finally) {
        complain("stuck: %s, point %llu: the sleeper was told %d", r->name, (unsigned long long)index, told);
        one.stuck = 1;
    }
    if (which == NOT_NOTICED) repair();
    if (r->finally == PP_OK) {
        unsigned seen[MOST_ELEMENTS] = {0};
        drain(&actors[SURVIVOR].out, seen, &one);
        turn(&actors[SURVIVOR].out, false, &one);
    }
    tally_add(sum, &one);
    return returned || (asleep && which != WOKEN_BEFORE);
}

int main(void) {
    if (!steps_are_possible()) return STEPS_SKIPPED;
    uint64_t every = steps_every(1);
    print_heading();
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int which = 0; which < CASES; which++) {
            tally sum = {0};
            /* The others' deaths must be noticed: they may hold a slot, or a wake. */
            if (which != ANOTHER_ASLEEP && !rows[i].sleeps) continue;
            for (uint64_t at = 0; !die_at(&rows[i], at, which, &sum); at += every) continue;
            report(rows[i].name, case_names[which], &sum);
        }
    }
    return report_total();
}
