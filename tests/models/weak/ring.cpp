/* ring.cpp - the real ring under the C11 memory model: slots as messages, and the waits on both sides.
 *
 * No wait ends by time.  An element that is read before it was written is a data race on its slot, a wake
 * that is lost a deadlock.
 */
#include "core.h"

/* Relacy makes a suite itself, so its numbers are here. */
static unsigned producers, consumers, capacity, each;

enum { THREADS = 4, ELEMENTS_MOST = 8 };

struct stream : rl::test_suite<stream, THREADS> {
    weak::ring_memory memory;
    unsigned seen[ELEMENTS_MOST];
    unsigned held;

    void before() {
        weak::nobody_dies();
        memory.create(capacity, producers);
        for (unsigned &count : seen) count = 0;
        held = 0;
    }

    void produce(unsigned number) {
        pp_port port = memory.open(number + 1, number);
        for (unsigned i = 0; i < each;) {
            int status = weak::push(&port, number * each + i, NULL);
            RL_ASSERT(status == PP_OK || status == PP_FULL);
            if (status == PP_OK)
                i++;
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
                pp_wait_pop(&port, weak::FOREVER_NS);
                continue;
            }
            RL_ASSERT(++held <= capacity);
            uint64_t element = slot->head.get().index0;
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

static int check(const char *name, unsigned p, unsigned c, unsigned slots, unsigned n, unsigned long schedules) {
    producers = p;
    consumers = c;
    capacity = slots;
    each = n;
    return weak::check<stream>(name, schedules);
}

int main(int argc, char **argv) {
    unsigned long schedules = weak::arguments(argc, argv);
    return check("one to one, one slot", 1, 1, 1, 3, schedules) ||
           check("one to one, two slots", 1, 1, 2, 4, schedules) ||
           check("two to one, one slot", 2, 1, 1, 2, schedules) ||
           check("one to two, two slots", 1, 2, 2, 4, schedules) ||
           check("two to two, two slots", 2, 2, 2, 2, schedules);
}
