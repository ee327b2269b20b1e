/* ring.cpp - the real ring under the C11 memory model: slots as messages, and the waits on both sides.
 *
 * No wait ends by time.  An element that is read before it was written is a data race on its slot, a wake
 * that is lost a deadlock.
 */
#include "core.h"

/* Relacy makes a suite itself, so its numbers are here. */
static unsigned producers, consumers, capacity, each;
static bool several; /* slots hold several elements */
static bool packs;   /* and producers fill them two at a time */
static bool loops; /* consumers are event loops: they wait for a bell */

enum { THREADS = 4, ELEMENTS_MOST = 8 };

struct stream : rl::test_suite<stream, THREADS> {
    weak::ring_memory memory;
    unsigned seen[ELEMENTS_MOST];
    unsigned held;
    pp_a32 bell;

    void before() {
        weak::nobody_dies();
        memory.create(capacity, producers, several);
        for (unsigned &count : seen) count = 0;
        held = 0;
        pp_store_rlx(&bell, 0);
        weak::bell_word = &bell;
    }

    void produce(unsigned number) {
        pp_port port = memory.open(number + 1, number);
        if (loops) port.bell = 0;
        for (unsigned i = 0; i < each;) {
            unsigned next = number * each + i;
            int status = packs ? weak::push_two(&port, next) : weak::push(&port, next, NULL);
            RL_ASSERT(status == PP_OK || status == PP_FULL);
            if (status == PP_OK)
                i += packs ? 2 : 1;
            else
                pp_wait_push(&port, weak::FOREVER_NS);
        }
        pp_push_close(&port);
    }

    void consume(unsigned number) {
        pp_port port = memory.open(producers + number + 1, 0);
        for (;;) {
            pp_slot *slot;
            int status = pp_pop_claim(&port, &slot);
            if (status == PP_CLOSED) return;
            RL_ASSERT(status == PP_OK || status == PP_EMPTY);
            if (status == PP_EMPTY) {
                if (!loops)
                    pp_wait_pop(&port, weak::FOREVER_NS);
                else if (pp_spot_arm(&memory.ring()->not_empty),
                         pp_wait_pop(&port, 0) == PP_TIMEOUT && !pp_ring_closed(memory.ring()))
                    weak::wait_for_bell();
                continue;
            }
            RL_ASSERT(++held <= capacity);
            uint64_t element = weak::element_of(&port, slot);
            RL_ASSERT(element < producers * each && seen[element]++ == 0);
            held--;
            pp_pop_free(&port, slot);
        }
    }

    void thread(unsigned index) {
        if (index < producers)
            produce(index);
        else if (index < producers + consumers)
            consume(index - producers);
    }

    void after() {
        for (unsigned i = 0; i < producers * each; i++) RL_ASSERT(seen[i] == 1);
        memory.destroy();
    }
};

/* ---- each of two takes one of the two elements of a slot, and no more ---- */

struct one_each : rl::test_suite<one_each, 3> {
    weak::ring_memory memory;
    unsigned seen[2];

    void before() {
        weak::nobody_dies();
        memory.create(1, 1, true);
        seen[0] = seen[1] = 0;
    }

    /* It never closes: nobody is woken by that. */
    void produce() {
        pp_port port = memory.open(1, 0);
        for (unsigned i = 0; i < 2;)
            if (weak::push(&port, i, NULL) == PP_OK)
                i++;
            else
                pp_wait_push(&port, weak::FOREVER_NS);
    }

    void consume(unsigned number) {
        pp_port port = memory.open(number + 2, 0);
        for (;;) {
            pp_slot *slot;
            int status = pp_pop_claim(&port, &slot);
            if (status == PP_EMPTY) {
                pp_wait_pop(&port, weak::FOREVER_NS);
                continue;
            }
            RL_ASSERT(status == PP_OK && seen[weak::element_of(&port, slot)]++ == 0);
            pp_pop_free(&port, slot);
            return;
        }
    }

    void thread(unsigned index) {
        if (index == 0)
            produce();
        else
            consume(index - 1);
    }

    void after() {
        RL_ASSERT(seen[0] == 1 && seen[1] == 1);
        memory.destroy();
    }
};

/* ---- an abort ends every wait ---- */

struct aborted : rl::test_suite<aborted, 3> {
    weak::ring_memory memory;

    void before() {
        weak::nobody_dies();
        memory.create(1, 1);
    }

    void produce() {
        pp_port port = memory.open(1, 0);
        for (;;) {
            int status = weak::push(&port, 0, NULL);
            if (status == PP_ABORTED) return;
            if (status == PP_FULL) pp_wait_push(&port, weak::FOREVER_NS);
        }
    }

    void consume() {
        pp_port port = memory.open(2, 0);
        /* Nobody gives it anything: the producer's one element is taken, or not, by a look that comes first. */
        for (int taken = 0;;) {
            pp_slot *slot;
            int status = pp_pop_claim(&port, &slot);
            if (status == PP_ABORTED) return;
            if (status == PP_EMPTY) pp_wait_pop(&port, weak::FOREVER_NS);
            if (status != PP_OK) continue;
            if (taken++ == 0) pp_pop_free(&port, slot);
        }
    }

    void thread(unsigned index) {
        switch (index) {
            case 0: produce(); break;
            case 1: consume(); break;
            case 2: pp_ring_abort(memory.ring(), -1); break;
        }
    }

    void after() { memory.destroy(); }
};

static int check(const char *name, unsigned p, unsigned c, unsigned slots, unsigned n,
                 unsigned long schedules) {
    producers = p;
    consumers = c;
    capacity = slots;
    each = n;
    return weak::check<stream>(name, schedules);
}

static int check_several(const char *name, unsigned p, unsigned c, unsigned slots, unsigned n,
                         unsigned long schedules) {
    several = true;
    int failed = check(name, p, c, slots, n, schedules);
    several = false;
    return failed;
}

static int check_packs(const char *name, unsigned p, unsigned c, unsigned slots, unsigned n,
                       unsigned long schedules) {
    packs = true;
    int failed = check_several(name, p, c, slots, n, schedules);
    packs = false;
    return failed;
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    return check("one to one, one slot", 1, 1, 1, 3, schedules) ||
           check("one to one, two slots", 1, 1, 2, 4, schedules) ||
           check("two to one, one slot", 2, 1, 1, 2, schedules) ||
           check("one to two, two slots", 1, 2, 2, 4, schedules) ||
           check("two to two, two slots", 2, 2, 2, 2, schedules) ||
           check_several("one to one, several in a slot", 1, 1, 2, 4, schedules) ||
           check_several("one to two, several in a slot", 1, 2, 2, 4, schedules) ||
           check_several("two to two, several in a slot", 2, 2, 1, 3, schedules) ||
           check_packs("one to two, two at a time", 1, 2, 1, 4, schedules) ||
           check_packs("two to one, two at a time", 2, 1, 2, 2, schedules) ||
           weak::check<one_each>("two take one of two each", schedules) ||
           (loops = true, check("two to an event loop, one slot", 2, 1, 1, 2, schedules)) ||
           weak::check<aborted>("an abort", schedules);
}
