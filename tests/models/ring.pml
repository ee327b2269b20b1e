/* ring.pml - the ring of src_c/ring.c with its leases, when workers die at any step, and the supervisor that mends it.
 *
 * One step of the model is one atomic operation of the C code, in its order there.  Memory is sequentially
 * consistent here; what the weaker orders of the C code allow is checked on the C code itself (weak/).
 *
 * Each producer puts EACH elements into the ring, with the emit protocol of its lease.  Consumers take with the
 * take protocol, and `done` counts who answered for which element.  A worker that is killed is buried by the
 * supervisor (settle, then mend) and replaced; the supervisor may be killed too, and begins again.
 *
 * Checked: every element is answered for exactly once; no more elements are inside than there are slots; nobody waits
 * for ever (an end state in which somebody waits is an error); with -DPROGRESS, nobody turns in circles.
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
#define OWNER(w) ((w) + 1)

/* The states of a slot, in the order of a lap: "later than FREE" is "claimed by somebody". */
#define FREE 0
#define WRITING 1
#define READY 2
#define READING 3
#define SKIP 4

/* A slot's word is one atomic word: it is read and swapped as a whole. */
typedef slot_t { byte lap; byte state; byte owner; byte element };
slot_t slot[CAPACITY];
byte head, tail;
bit closed[PRODUCERS];

/* The lease of each worker.  A producer's `in` counts as 0 or 1: it takes from a source that nobody shares. */
byte in[WORKERS], out[WORKERS], hand[WORKERS];
bit emitted[WORKERS];

/* Ghosts: not in the C code. */
byte done[ELEMENTS];
byte answered[WORKERS];
byte inside;
byte deaths_left = DEATHS, supervisor_deaths_left = SUPERVISOR_DEATHS;
bit dead[WORKERS]; /* killed: makes no step any more */
bit gone[WORKERS]; /* and the kernel says so */
bit running[WORKERS], supervisor_killed, burying;

#define SLOT(position) slot[(position) % CAPACITY]
#define LAP(position) ((position) / CAPACITY)

#define lead_is_zero (lap == LAP(at))
#define lead_is_positive (lap > LAP(at))
#define lead_is_negative (lap < LAP(at))

inline look(position) {
    d_step { lap = SLOT(position).lap; state = SLOT(position).state; owner = SLOT(position).owner }
}

inline count(new_state) {
    if
    :: new_state == WRITING -> inside++; assert(inside <= CAPACITY)
    :: new_state == FREE -> inside--
    :: else
    fi
}

/* What is not needed any more must not tell states apart. */
inline forget() { at = 0; lap = 0; state = 0; owner = 0; won = 0 }

/* Compare-and-swap of a slot's word: `won` says whether it was what `look` saw. */
inline swap(position, new_lap, new_state, new_owner) {
    d_step {
        if
        :: SLOT(position).lap == lap && SLOT(position).state == state && SLOT(position).owner == owner ->
            SLOT(position).lap = new_lap; SLOT(position).state = new_state; SLOT(position).owner = new_owner; won = 1;
            count(new_state)
        :: else -> won = 0
        fi
    }
}

inline store(position, new_lap, new_state, new_owner) {
    d_step {
        SLOT(position).lap = new_lap; SLOT(position).state = new_state; SLOT(position).owner = new_owner;
        count(new_state)
    }
}

inline help(hint) {
    d_step { if :: hint == at -> hint = at + 1 :: else fi }
}

#if PRODUCERS == 1
#define EVERYBODY_CLOSED (closed[0] && SLOT(at).state != WRITING)
#else
#define EVERYBODY_CLOSED (closed[0] && closed[1] && SLOT(at).state != WRITING)
#endif

#if WORKERS == 2
#define EVERYBODY_FINISHED (!running[0] && !running[1])
#elif WORKERS == 3
#define EVERYBODY_FINISHED (!running[0] && !running[1] && !running[2])
#else
#define EVERYBODY_FINISHED (!running[0] && !running[1] && !running[2] && !running[3])
#endif

/* ---- producers ---- */

inline push_claim(w) {
    do
    :: at = tail;
        look(at);
        if
        :: lead_is_zero && state == FREE ->
            swap(at, lap, WRITING, OWNER(w));
            if
            :: won -> help(tail); break
            :: else
            fi
        :: lead_is_positive || (lead_is_zero && state != FREE) -> help(tail)
        :: lead_is_negative ->
            /* Full: wait until trying again makes sense (can_push). */
            (tail != at || SLOT(at).lap >= LAP(at))
        fi
    od
}

inline push_publish(w) {
    SLOT(at).element = hand[w];
    d_step { out[w] = at + 1; emitted[w] = 0 };
    store(at, LAP(at), READY, NOBODY);
    d_step { emitted[w] = 1; out[w] = 0 };
}

proctype producer(byte w) {
    byte at, lap, state, owner;
    bit won;
    {
        do
        :: in[w] == 0 && answered[w] < EACH ->
            d_step { hand[w] = w * EACH + answered[w]; emitted[w] = 0 };
            in[w] = 1
        :: in[w] != 0 ->
            if
            :: !emitted[w] -> push_claim(w); push_publish(w)
            :: else
            fi;
progress_producer: skip;
            d_step { in[w] = 0; answered[w]++; forget() }
        :: in[w] == 0 && answered[w] == EACH -> break
        od;
        closed[w] = 1;
        running[w] = 0
    } unless { atomic { dead[w] -> gone[w] = 1 } }
}

/* ---- consumers ---- */

inline pop_lease(w) {
    last_look = 0;
    do
    :: at = head;
        look(at);
        if
        :: lead_is_positive || (lead_is_zero && state == READING) -> help(head)
        :: lead_is_negative && head != at -> skip
        :: lead_is_zero && state == READY ->
            swap(at, lap, READING, OWNER(w));
            if
            :: won ->
                help(head);
                hand[w] = SLOT(at).element;
                emitted[w] = 0;
                in[w] = at + 1;
                store(at, LAP(at) + 1, FREE, NOBODY);
                break
            :: else
            fi
        :: lead_is_zero && state == SKIP ->
            swap(at, lap + 1, FREE, NOBODY);
            if
            :: won -> help(head)
            :: else
            fi
        :: (lead_is_negative && head == at) || (lead_is_zero && (state == FREE || state == WRITING)) ->
            idle = (lead_is_negative || state == FREE);
            if
            :: idle && last_look -> goto over
            :: else
            fi;
            all_closed = 1;
            number = 0;
            do
            :: idle && all_closed && number < PRODUCERS -> all_closed = closed[number]; number++
            :: else -> break
            od;
            if
            :: idle && all_closed -> last_look = 1
            :: else ->
                last_look = 0;
                /* Empty: wait until trying again makes sense (can_pop, or everybody has closed). */
                (head != at || SLOT(at).lap > LAP(at) ||
                 (SLOT(at).lap == LAP(at) && SLOT(at).state >= READY) || EVERYBODY_CLOSED)
            fi
        fi
    od
}

proctype consumer(byte w) {
    byte at, lap, state, owner, number;
    bit won, idle, all_closed, last_look;
    {
        do
        :: if
            :: in[w] == 0 -> pop_lease(w)
            :: else
            fi;
progress_consumer: skip;
            d_step { done[hand[w]]++; assert(done[hand[w]] == 1); in[w] = 0; forget() }
        od;
over:
        running[w] = 0
    } unless { atomic { dead[w] -> gone[w] = 1 } }
}

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
            :: lead_is_zero && state == WRITING && owner == OWNER(w)
            :: else -> emitted[w] = 1
            fi;
            out[w] = 0
        }
    fi
}

inline mend(w) {
    number = 0;
    do
    :: number < CAPACITY ->
        d_step { lap = slot[number].lap; state = slot[number].state; owner = slot[number].owner };
        at = lap * CAPACITY + number;
        if
        :: owner == OWNER(w) && state == WRITING -> store(at, lap, SKIP, NOBODY)
        :: owner == OWNER(w) && state == READING ->
            if
            :: in[w] != at + 1 ->
                hand[w] = SLOT(at).element;
                emitted[w] = 0;
                in[w] = at + 1
            :: else
            fi;
            store(at, lap + 1, FREE, NOBODY)
        :: else
        fi;
        number++
    :: else -> break
    od
}

inline start(w) {
    if
    :: w < PRODUCERS -> run producer(w)
    :: else -> run consumer(w)
    fi
}

active proctype supervisor() {
    byte at, lap, state, owner, number, w;
    bit won; /* of forget */
    atomic {
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
        number = 0;
        do
        :: number < ELEMENTS -> assert(done[number] == 1); number++
        :: else -> break
        od
    }
}
