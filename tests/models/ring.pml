/* ring.pml - the ring of src_c/ring.c with its leases, when workers die at any step, and the supervisor that
 * mends it.
 *
 * One step of the model is one atomic operation of the C code, in its order there.  Memory is sequentially
 * consistent here; what the weaker orders of the C code allow is checked on the C code itself (weak/).
 *
 * Each producer puts EACH elements into the ring, with the emit protocol of its lease (ring_push.pml).  Consumers
 * take with the take protocol, and `done` counts who answered for which element (ring_pop.pml).  A worker that is
 * killed is buried by the supervisor (settle, then mend) and replaced; the supervisor may be killed too, and begins
 * again.
 *
 * With MOST > 1 slots hold several elements: producers add to the slot that they published last, and consumers
 * take one and leave the rest, or, with SOLE, all of it.
 *
 * Checked: every element is answered for exactly once; no more slots are in use than there are, and no slot holds
 * more than MOST; `head` never passes a slot that somebody has to come back to; nobody waits for ever (an end
 * state in which somebody waits is an error); with -DPROGRESS, nobody turns in circles.
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef SUPERVISOR_DEATHS
#define SUPERVISOR_DEATHS 1
#endif

/* The most elements in a slot: PP_PARTS, where a ring allows several. */
#ifndef MOST
#define MOST 1
#endif
/* One consumer, which takes whole slots. */
#ifndef SOLE
#define SOLE 0
#endif
/* 0: consumers have none. Such live in the process of the supervisor: they are not mortal. */
#ifndef LEASES
#define LEASES 1
#endif
/* 1: the elements are in the ring to begin with, and their producer is gone: what consumers do among themselves,
 * without the states of a producer beside them. */
#ifndef FILLED
#define FILLED 0
#endif

/* Who may be killed. */
#ifndef FIRST_MORTAL
#define FIRST_MORTAL 0
#endif
#ifndef LAST_MORTAL
#define LAST_MORTAL (WORKERS - 1)
#endif

#define WORKERS (PRODUCERS + CONSUMERS)
#define ELEMENTS (PRODUCERS * EACH)
#define NOBODY 0
#define NOTHING 0 /* elements count from 1 */
#define OWNER(w) ((w) + 1)

/* The states of a slot; there is no order among them. */
#define FREE 0
#define WRITING 1
#define READY 2
#define READING 3
#define SKIP 4
#define ADDING 5

typedef elements_t { byte part[MOST] };

/* What leads a slot is one atomic word: it is read and swapped as a whole. */
typedef slot_t { byte lap; byte state; byte owner; byte count; byte taken; elements_t holds };
slot_t slot[CAPACITY];
byte head, tail;
bit closed[PRODUCERS];

/* The place of an element; the part behind the last has one too. */
#define PLACE(position, part) ((position) * (MOST + 1) + (part))
#define PART_OF(place) ((place) % (MOST + 1))

/* The lease of each worker.  A producer's `in` counts as 0 or 1: it takes from a source that nobody shares. */
byte in[WORKERS], out[WORKERS], hand[WORKERS];
bit emitted[WORKERS];
/* `rest` is one atomic word, of two fields. */
typedef rest_t { byte place; byte count };
rest_t rest[WORKERS];
elements_t pack[WORKERS];

/* Ghosts: not in the C code. */
byte done[ELEMENTS + 1];
byte answered[WORKERS];
byte inside;
byte deaths_left = DEATHS, supervisor_deaths_left = SUPERVISOR_DEATHS;
bit dead[WORKERS]; /* killed: makes no step any more */
bit gone[WORKERS]; /* and the kernel says so */
bit running[WORKERS], supervisor_killed, burying;

#define SLOT(position) slot[(position) % CAPACITY]
#define LAP(position) ((position) / CAPACITY)

/* The word that was looked at last. */
#define SEEN byte at, lap, state, owner, count, taken

#define lead_is_zero (lap == LAP(at))
#define lead_is_positive (lap > LAP(at))
#define lead_is_negative (lap < LAP(at))
#define is_last (taken + 1 >= count)
#define is_whole (SOLE && !is_last)

inline look(position) {
    d_step {
        lap = SLOT(position).lap; state = SLOT(position).state; owner = SLOT(position).owner;
        count = SLOT(position).count; taken = SLOT(position).taken
    }
}

/* What is not needed any more must not tell states apart. */
inline forget() { at = 0; lap = 0; state = 0; owner = 0; count = 0; taken = 0; won = 0 }

inline set(position, new_lap, new_state, new_owner, new_count, new_taken) {
    SLOT(position).lap = new_lap; SLOT(position).state = new_state; SLOT(position).owner = new_owner;
    SLOT(position).count = new_count; SLOT(position).taken = new_taken;
    assert(new_count <= MOST);
    if
    :: new_state == WRITING -> inside++; assert(inside <= CAPACITY)
    :: new_state == FREE ->
        inside--;
        for (part : 0 .. MOST - 1) { SLOT(position).holds.part[part] = NOTHING }
    :: else
    fi;
    part = 0
}

/* Compare-and-swap of a slot's word: `won` says whether it was what was seen. */
inline swap(position, new_lap, new_state, new_owner, new_count, new_taken) {
    d_step {
        if
        :: SLOT(position).lap == lap && SLOT(position).state == state && SLOT(position).owner == owner &&
           SLOT(position).count == count && SLOT(position).taken == taken ->
            set(position, new_lap, new_state, new_owner, new_count, new_taken);
            won = 1
        :: else -> won = 0
        fi
    }
}

inline store(position, new_lap, new_state, new_owner, new_count, new_taken) {
    d_step { set(position, new_lap, new_state, new_owner, new_count, new_taken) }
}

inline copy(to, from) {
    d_step {
        for (part : 0 .. MOST - 1) { to.part[part] = from.part[part] };
        part = 0
    }
}

inline help(hint) {
    d_step { if :: hint == at -> hint = at + 1 :: else fi }
}

/* Nobody has to come back to the slot at `at`. */
inline help_head() {
    d_step {
        if
        :: head == at ->
            assert(SLOT(at).lap > LAP(at) || (SLOT(at).lap == LAP(at) && SLOT(at).state == READING &&
                                              (SOLE || SLOT(at).taken + 1 >= SLOT(at).count)));
            head = at + 1
        :: else
        fi
    }
}

inline keep_rest(w, its_place, its_count) {
    d_step { rest[w].place = its_place; rest[w].count = its_count }
}

#if PRODUCERS == 1
#define EVERYBODY_CLOSED (closed[0])
#else
#define EVERYBODY_CLOSED (closed[0] && closed[1])
#endif

#if WORKERS == 2
#define EVERYBODY_FINISHED (!running[0] && !running[1])
#elif WORKERS == 3
#define EVERYBODY_FINISHED (!running[0] && !running[1] && !running[2])
#else
#define EVERYBODY_FINISHED (!running[0] && !running[1] && !running[2] && !running[3])
#endif

#include "ring_push.pml"
#include "ring_pop.pml"

/* ---- deaths ---- */

/* Any worker, and the supervisor, at any moment: `unless` ends them before their next step. */
active proctype killer() {
    byte w;
    do
    :: deaths_left > 0 ->
        atomic {
            deaths_left--;
            select(w : FIRST_MORTAL .. LAST_MORTAL);
            if
            :: running[w] -> dead[w] = 1
            :: else -> break
            fi
        }
    :: supervisor_deaths_left > 0 && burying -> atomic { supervisor_deaths_left--; supervisor_killed = 1 }
    :: deaths_left == 0 && (supervisor_deaths_left == 0 || EVERYBODY_FINISHED) -> break
    od
}

inline settle(w) {
    at = out[w];
    if
    :: at == 0
    :: else ->
        at--;
        look(at);
        d_step {
            if
            :: lead_is_zero && (state == WRITING || state == ADDING) && owner == OWNER(w)
            :: else -> emitted[w] = 1
            fi;
            out[w] = 0
        }
    fi
}

inline settle_rest(w) {
    d_step {
        if
        :: in[w] != 0 && in[w] - 1 == rest[w].place && PART_OF(rest[w].place) < rest[w].count -> rest[w].place++
        :: else
        fi
    }
}

inline move_into_lease(w) {
    if
    :: in[w] != PLACE(at, taken) + 1 ->
        hand[w] = SLOT(at).holds.part[taken];
        if
        :: is_whole -> copy(pack[w], SLOT(at).holds)
        :: else
        fi;
        emitted[w] = 0;
        in[w] = PLACE(at, taken) + 1
    :: else
    fi;
    if
    :: is_whole -> keep_rest(w, PLACE(at, taken + 1), count)
    :: else
    fi
}

inline mend(w) {
    settle_rest(w);
    number = 0;
    do
    :: number < CAPACITY ->
        look(number);
        at = lap * CAPACITY + number;
        if
        :: owner == OWNER(w) && state == WRITING -> store(at, lap, SKIP, NOBODY, 0, 0)
        :: owner == OWNER(w) && state == ADDING -> store(at, lap, READY, NOBODY, count, taken)
        :: owner == OWNER(w) && state == READING ->
            move_into_lease(w);
            if
            :: is_last || SOLE -> store(at, lap + 1, FREE, NOBODY, 0, 0)
            :: else -> store(at, lap, READY, NOBODY, count, taken + 1)
            fi
        :: else
        fi;
        number++
    :: else -> break
    od
}

inline fill() {
    for (number : 0 .. EACH - 1) {
        slot[number / MOST].state = READY;
        slot[number / MOST].holds.part[slot[number / MOST].count] = number + 1;
        slot[number / MOST].count++;
        tail = number / MOST + 1
    }
    number = 0;
    inside = tail;
    closed[0] = 1;
    w = PRODUCERS
}

inline start(w) {
    if
    :: w < PRODUCERS -> run producer(w)
    :: else -> run consumer(w)
    fi
}

active proctype supervisor() {
    SEEN, part, number, w;
    bit won; /* of forget */
    atomic {
#if FILLED
        fill();
#endif
        do
        :: w < WORKERS -> running[w] = 1; start(w); w++
        :: else -> break
        od
    };
again:
    {
        atomic {
            w = WORKERS;
            if
            :: gone[0] -> w = 0
            :: gone[1] -> w = 1
#if WORKERS > 2
            :: gone[2] -> w = 2
#endif
#if WORKERS > 3
            :: gone[3] -> w = 3
#endif
            :: EVERYBODY_FINISHED
            fi;
            burying = w < WORKERS
        };
        if
        :: burying ->
            settle(w);
            mend(w);
            atomic { burying = 0; gone[w] = 0; dead[w] = 0; start(w); forget(); number = 0; w = 0 };
            goto again
        :: else
        fi
    } unless { atomic { supervisor_killed -> supervisor_killed = 0; burying = 0; forget(); number = 0; goto again } };
    d_step {
        number = 1;
        do
        :: number <= ELEMENTS -> assert(done[number] == 1); number++
        :: else -> break
        od
    }
}
