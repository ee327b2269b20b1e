/* lease.cpp - workers between two rings die at any atomic operation, and are replaced: every element comes out once.
 *
 * The repairer may die as well, and begins again.
 */
#include "core.h"

enum { THREADS = 4, WORKERS_MOST = 2, ELEMENTS_MOST = 4 };

static unsigned workers, in_capacity, out_capacity, elements, deaths;
static bool several; /* slots hold several elements; one worker takes all that is in one */

struct replaced : rl::test_suite<replaced, THREADS> {
    weak::ring_memory in, out;
    alignas(64) unsigned char leases[WORKERS_MOST * sizeof(pp_lease)];
    unsigned seen[ELEMENTS_MOST];

    pp_lease *lease(unsigned worker) { return (pp_lease *)leases + worker; }

    void before() {
        weak::nobody_dies();
        in.create(in_capacity, 1, several, workers == 1);
        out.create(out_capacity, workers, several);
        for (unsigned i = 0; i < workers; i++) weak::create_lease(lease(i));
        for (unsigned &count : seen) count = 0;
    }

    void produce() {
        pp_port port = in.open(WORKERS_MOST + 1, 0);
        for (unsigned i = 0; i < elements;)
            if (weak::push(&port, i, NULL) == PP_OK)
                i++;
            else
                pp_wait_push(&port, weak::FOREVER_NS);
        pp_push_close(&port);
    }

    void work(unsigned worker) {
        pp_port from = in.open(worker + 1, 0), to = out.open(worker + 1, worker);
        pp_lease *held = lease(worker);
        for (;;) {
            if (pp_load_acq(&held->in) == 0) {
                int status = pp_pop_lease(&from, held);
                if (status == PP_CLOSED) break;
                if (status == PP_EMPTY) pp_wait_pop(&from, weak::FOREVER_NS);
                if (status != PP_OK) continue;
            }
            uint64_t element = held->element.head.get().index0;
            if (pp_load_acq(&held->out) >> PP_OUT_SHIFT == 0)
                while (weak::push(&to, element, held) != PP_OK) pp_wait_push(&to, weak::FOREVER_NS);
            pp_store_rel(&held->in, 0);
        }
        pp_push_close(&to);
    }

    void repair(unsigned worker) {
        pp_ring_settle(out.ring(), lease(worker), worker + 1);
        pp_ring_mend(in.ring(), lease(worker), worker + 1);
        pp_ring_mend(out.ring(), lease(worker), worker + 1);
    }

    void work_and_die(unsigned worker) {
        for (unsigned times = 0; times < deaths; times++) {
            weak::live_for_at_most(120);
            try {
                work(worker);
                weak::live_on();
                return;
            } catch (weak::death) {
            }
            weak::live_for_at_most(20);
            try {
                repair(worker);
            } catch (weak::death) {
            }
            weak::live_on();
            repair(worker);
        }
        work(worker);
    }

    void consume() {
        pp_port port = out.open(WORKERS_MOST + 2, 0);
        for (;;) {
            pp_slot *slot;
            int status = pp_pop_claim(&port, &slot);
            if (status == PP_CLOSED) break;
            if (status == PP_EMPTY) {
                pp_wait_pop(&port, weak::FOREVER_NS);
                continue;
            }
            RL_ASSERT(status == PP_OK);
            uint64_t element = weak::element_of(&port, slot);
            RL_ASSERT(element < elements && seen[element]++ == 0);
            pp_pop_free(&port, slot);
        }
        for (unsigned i = 0; i < elements; i++) RL_ASSERT(seen[i] == 1);
    }

    void thread(unsigned index) {
        if (index == 0)
            produce();
        else if (index == 1)
            consume();
        else if (index - 2 < workers)
            work_and_die(index - 2);
    }

    void after() {
        for (unsigned i = 0; i < workers; i++) lease(i)->~pp_lease();
        out.destroy();
        in.destroy();
    }
};

static int check(const char *name, unsigned w, unsigned c1, unsigned c2, unsigned n, unsigned d,
                 unsigned long schedules) {
    workers = w;
    in_capacity = c1;
    out_capacity = c2;
    elements = n;
    deaths = d;
    return weak::check<replaced>(name, schedules);
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    return check("one worker, one slot each", 1, 1, 1, 3, 2, schedules) ||
           check("one worker, two slots into one", 1, 2, 1, 3, 2, schedules) ||
           check("two workers, one slot each", 2, 1, 1, 3, 1, schedules) ||
           check("two workers, two slots each", 2, 2, 2, 4, 2, schedules) ||
           (several = true, check("one worker, several in a slot", 1, 1, 1, 4, 2, schedules)) ||
           check("two workers, several in a slot", 2, 1, 1, 4, 2, schedules);
}
