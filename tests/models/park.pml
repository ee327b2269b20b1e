/* park.pml - the park protocol of src_c/park.c: no wake is lost.
 *
 * One step of the model is one atomic operation of the C code, in its order there.  Memory is sequentially consistent
 * here, which is what the four operations of the protocol (publish, look at waiters; register, look at the condition)
 * ask for with seq_cst.  The orders that are weaker: `epoch` is read with acquire before the registration, so that the
 * key is never newer than the token; its increment is acq_rel and is ordered with the sleeper's look by the kernel,
 * which compares and sleeps under one lock.  That this is enough is checked on the C code itself (weak/).
 *
 * Wakers publish items and notify.  Waiters and event loops take one item each and are done; quitters do the same but
 * may leave at any time, as after a time-out or a signal.  A waker may die at any step; then everybody is woken and
 * another one goes on.
 *
 * Checked: when nothing moves any more, nobody sleeps while an item is there.
 */
#ifndef WAITERS
#define WAITERS 2
#endif
#ifndef QUITTERS
#define QUITTERS 0
#endif
#ifndef LOOPS
#define LOOPS 0
#endif
#ifndef WAKERS
#define WAKERS 2
#endif
#ifndef ITEMS
#define ITEMS 1 /* of each waker */
#endif
#ifndef DEATHS
#define DEATHS 0
#endif

#define SLEEPERS (WAITERS + QUITTERS)

/* The spot.  tokens and armed are one atomic word. */
byte epoch, tokens, bell;
bit armed;

byte items;
bit asleep[3], loop_asleep; /* as many sleepers as a check uses */
byte published[WAKERS];
byte deaths_left = DEATHS;
bit alive[WAKERS], dead[WAKERS];

inline take_item(taken) {
    d_step { if :: items > 0 -> items--; taken = 1 :: else -> taken = 0 fi }
}

inline os_wake_one() {
    atomic {
        if
        :: asleep[0] -> asleep[0] = 0
        :: asleep[1] -> asleep[1] = 0
        :: asleep[2] -> asleep[2] = 0
        :: else
        fi
    }
}

inline os_wake_everybody() {
    d_step {
        asleep[0] = 0;
        asleep[1] = 0;
        asleep[2] = 0
    }
}

/* pp_spot_wake */
inline wake() {
    d_step { seen_tokens = tokens; seen_armed = armed };
    do
    :: seen_tokens == 0 && !seen_armed -> break
    :: else ->
        d_step {
            if
            :: tokens == seen_tokens && armed == seen_armed ->
                tokens = (seen_tokens > 0 -> seen_tokens - 1 : 0); armed = 0; won = 1
            :: else ->
                seen_tokens = tokens; seen_armed = armed; won = 0
            fi
        };
        if
        :: won ->
            if
            :: seen_tokens > 0 -> epoch++; os_wake_one()
            :: else
            fi;
            if
            :: seen_armed -> bell = 1
            :: else
            fi;
            break
        :: else
        fi
    od
}

/* pp_spot_wake_all */
inline wake_all() {
    d_step { tokens = 0; armed = 0 };
    epoch++;
    os_wake_everybody();
    bell = 1
}

proctype waiter(byte me; bit may_leave) {
    byte key;
    bit taken, there;
    do
    :: take_item(taken);
        if
        :: taken -> break
        :: else
        fi;
        key = epoch;
        tokens++;
        there = items > 0;
        if
        :: there -> goto again
        :: !there
        :: may_leave -> break
        fi;
        atomic { if :: epoch == key -> asleep[me] = 1 :: else fi };
end_asleep:
        if
        :: !asleep[me]
        :: d_step { may_leave && asleep[me] -> asleep[me] = 0 }; break
        fi;
again: skip;
        d_step { key = 0; there = 0 }
    od
}

proctype event_loop() {
    bit taken, there;
    do
    :: take_item(taken);
        if
        :: taken -> break
        :: else
        fi;
        armed = 1;
        there = items > 0;
        if
        :: there
        :: else ->
            loop_asleep = 1;
end_asleep:
            d_step { bell > 0 -> bell = 0; loop_asleep = 0 }
        fi;
        there = 0
    od
}

proctype waker(byte me) {
    byte seen_tokens;
    bit seen_armed, won;
    {
        do
        :: published[me] < ITEMS ->
            d_step { items++; published[me]++ };
            /* pp_spot_notify */
            if
            :: tokens > 0 || armed -> wake()
            :: else
            fi
        :: else -> break
        od;
        alive[me] = 0
    } unless {
        atomic { dead[me] -> dead[me] = 0 };
        /* The supervisor, once the kernel says that it is dead. */
        wake_all();
        run waker(me)
    }
}

active proctype killer() {
    byte who;
    do
    :: deaths_left > 0 ->
        atomic {
            select(who : 0 .. WAKERS - 1);
            deaths_left--;
            if
            :: alive[who] -> dead[who] = 1
            :: else
            fi;
            who = 0
        }
    :: else -> break
    od
}

active proctype monitor() {
    byte who;
    atomic {
        do
        :: who < SLEEPERS -> run waiter(who, who >= WAITERS); who++
        :: else -> break
        od;
#if LOOPS > 0
        run event_loop();
#endif
        who = 0;
        do
        :: who < WAKERS -> alive[who] = 1; run waker(who); who++
        :: else -> break
        od
    };
    timeout ->
        assert(items == 0 || !(asleep[0] || asleep[1] || asleep[2] || loop_asleep))
}
