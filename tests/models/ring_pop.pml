/* ring_pop.pml - the consumers of ring.pml: look for the next element, claim it, take it out, leave the rest. */

/* How many slots behind the head a look goes; rings here are no larger. */
#ifndef AHEAD
#define AHEAD 2
#endif

#define found_something (found_at != 0)

inline forget_what_was_found() { found_at = 0; found_owner = 0; found_count = 0; found_taken = 0 }
inline forget_the_look() {
    number = 0; first = 0; ahead = 0; idle = 0; fast = 0; all_closed = 0; last_look = 0
}
inline remember_what_was_seen() {
    d_step { found_at = at + 1; found_owner = owner; found_count = count; found_taken = taken }
}
inline see_what_was_found() {
    d_step {
        at = found_at - 1; lap = LAP(at); state = READY;
        owner = found_owner; count = found_count; taken = found_taken;
        forget_what_was_found()
    }
}

/* One walk from the head.  `idle` when there is nothing: and nothing is in somebody's hands. */
inline look_for_next(w) {
    ahead = 0;
    /* Whether the stream is fast changes at any time. */
#if MOST > 1 && CONSUMERS > 1
    if
    :: fast = 0
    :: fast = 1
    fi;
#endif
    do
    :: ahead > AHEAD -> idle = 0; break
    :: ahead <= AHEAD ->
        if
        :: d_step { ahead == 0 -> forget_what_was_found(); first = head }
        :: ahead != 0
        fi;
        d_step { at = first + ahead; look(at) };
        if
        :: lead_is_negative && head != first -> ahead = 0
        :: lead_is_negative && head == first -> idle = (ahead == 0); break
        :: lead_is_positive || (lead_is_zero && state == READING && is_last) ->
            if
            :: ahead == 0 -> help_head()
            :: else -> ahead++
            fi
        :: lead_is_zero && state == READING && !is_last -> ahead++
        :: atomic {
                lead_is_zero && state == READY && (taken == 0 || owner == OWNER(w) || !fast) ->
                remember_what_was_seen()
            };
            break
        :: lead_is_zero && state == READY && taken != 0 && owner != OWNER(w) && fast ->
            /* Somebody else has begun with it: only when there is no other. */
            if
            :: !found_something -> remember_what_was_seen()
            :: else
            fi;
            ahead++
        :: lead_is_zero && state == SKIP ->
            swap(at, lap + 1, FREE, NOBODY, 0, 0);
            if
            :: won && ahead == 0 -> won = 0; help_head()
            :: won && ahead != 0 -> won = 0; ahead++
            :: !won -> ahead = 0
            fi
        :: lead_is_zero && (state == FREE || state == WRITING || state == ADDING) ->
            idle = (ahead == 0 && state == FREE); break
        fi
    od;
    ahead = 0; fast = 0
}

/* Trying again makes sense (can_pop): what a walk from `first` would find or help along. */
#define AT_LAP(position) (SLOT(position).lap == LAP(position))
#define TO_TAKE(position) (AT_LAP(position) && (SLOT(position).state == READY || SLOT(position).state == SKIP))
#define BEING_READ(position) (AT_LAP(position) && SLOT(position).state == READING)
#define LEFT_BEHIND(position) (SLOT(position).lap > LAP(position))
#define TO_BE_PASSED(position) \
    (LEFT_BEHIND(position) || (BEING_READ(position) && SLOT(position).taken + 1 >= SLOT(position).count))
/* Slots further on are those of the head's again: rings here have one or two. */
#define CAN_POP \
    (head != first || TO_TAKE(first) || TO_BE_PASSED(first) || (BEING_READ(first) && TO_TAKE(first + 1)))
/* Everybody has closed, and nobody's step is to be waited for that will leave something in the slot. */
#define CAN_CLOSE (EVERYBODY_CLOSED && !(AT_LAP(first) && SLOT(first).state != FREE))

/* Claim one element of a READY slot; `won` says whether nobody was faster. */
inline take(w) {
    swap(at, lap, READING, OWNER(w), count, taken);
    if
    :: won && (is_last || SOLE) -> help_head()
    :: else
    fi
}

inline pop_claim(w) {
    last_look = 0;
    /* The slot that the last one was taken from, if nobody has come between. */
    if
    :: atomic { found_something -> see_what_was_found() }; take(w)
    :: else
    fi;
    do
    :: won -> break
    :: !won ->
        look_for_next(w);
        if
        :: atomic { found_something -> see_what_was_found() }; take(w)
        :: !found_something && idle && last_look -> goto over
        :: !found_something && !(idle && last_look) ->
            all_closed = 1;
            number = 0;
            do
            :: idle && all_closed && number < PRODUCERS -> all_closed = closed[number]; number++
            :: else -> break
            od;
            number = 0;
            last_look = (idle && all_closed);
            if
            :: last_look
            :: else -> (CAN_POP || CAN_CLOSE)
            fi
        fi
    od;
    forget_the_look()
}

inline hold(w, its_place) {
    emitted[w] = 0;
    in[w] = its_place + 1
}

inline free_slot() { store(at, LAP(at) + 1, FREE, NOBODY, 0, 0) }

inline pop_free(w) {
    if
    :: is_last -> free_slot()
    :: else ->
        store(at, LAP(at), READY, OWNER(w), count, taken + 1);
        d_step { found_at = at + 1; found_owner = OWNER(w); found_count = count; found_taken = taken + 1 }
    fi
}

inline pop_rest(w) {
    hand[w] = pack[w].part[PART_OF(rest[w].place)];
#if LEASES
    hold(w, rest[w].place);
#endif
    keep_rest(w, rest[w].place + 1, rest[w].count)
}

#if LEASES
inline take_out(w) {
    hand[w] = SLOT(at).holds.part[taken];
    if
    :: is_whole -> copy(pack[w], SLOT(at).holds)
    :: else
    fi;
    hold(w, PLACE(at, taken));
    if
    :: is_whole ->
        keep_rest(w, PLACE(at, taken + 1), count);
        free_slot()
    :: else -> pop_free(w)
    fi
}
#else
/* `pack` and `rest` stand for the port's batch. */
inline take_out(w) {
    if
    :: is_whole ->
        copy(pack[w], SLOT(at).holds);
        keep_rest(w, PLACE(at, taken), count);
        free_slot();
        pop_rest(w)
    :: else -> hand[w] = SLOT(at).holds.part[taken]; pop_free(w)
    fi
}
#endif

proctype consumer(byte w) {
    SEEN, part;
    byte number, first, ahead;
    /* What a look has found; between two claims, the slot that the last element was taken from. */
    byte found_at, found_owner, found_count, found_taken;
    bit won, idle, fast, all_closed, last_look;
    {
        do
        :: if
            :: in[w] == 0 && PART_OF(rest[w].place) < rest[w].count -> pop_rest(w)
            :: in[w] == 0 && PART_OF(rest[w].place) >= rest[w].count -> pop_claim(w); take_out(w)
            :: in[w] != 0
            fi;
progress_consumer: skip;
            d_step {
                assert(hand[w] != NOTHING);
                done[hand[w]]++;
                assert(done[hand[w]] == 1);
                in[w] = 0; hand[w] = NOTHING;
                forget()
            }
        od;
over:
        running[w] = 0;
        d_step { forget(); forget_the_look() }
    } unless { atomic { dead[w] -> gone[w] = 1; forget(); forget_the_look(); forget_what_was_found() } }
}
