"""Mistakes that the models must notice: each is one change, and the bounds under which it shows."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    model: str
    name: str
    old: str
    new: str
    bounds: dict[str, int]
    progress: bool = False
    """It shows as turning in circles, not as a wrong or a last state."""


ONE_EACH = {"PRODUCERS": 1, "CONSUMERS": 1, "CAPACITY": 1, "EACH": 2, "SUPERVISOR_DEATHS": 0}
NO_DEATHS = {**ONE_EACH, "DEATHS": 0}
TWO_PRODUCERS = {**NO_DEATHS, "PRODUCERS": 2, "EACH": 1}
TWO_CONSUMERS = {**NO_DEATHS, "CONSUMERS": 2}

FILL = "    SLOT(at).holds.part[count] = hand[w];"
OUT = "    d_step { out[w] = at + 1; emitted[w] = 0 };"
PUBLISH = "    store(at, LAP(at), READY, NOBODY, count + 1, taken);"

RING = [
    Mutation(
        "ring",
        "a claim for writing does not name its owner",
        "swap(at, lap, WRITING, OWNER(w), 0, 0)",
        "swap(at, lap, WRITING, NOBODY, 0, 0)",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "a claim for reading does not name its owner",
        "swap(at, lap, READING, OWNER(w), count, taken)",
        "swap(at, lap, READING, NOBODY, count, taken)",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "a claim is a store, not a compare-and-swap",
        "swap(at, lap, WRITING, OWNER(w), 0, 0)",
        "store(at, lap, WRITING, OWNER(w), 0, 0); won = 1",
        TWO_PRODUCERS,
    ),
    Mutation(
        "ring",
        "a claim for reading is a store",
        "swap(at, lap, READING, OWNER(w), count, taken)",
        "store(at, lap, READING, OWNER(w), count, taken); won = 1",
        TWO_CONSUMERS,
    ),
    Mutation(
        "ring",
        "the slot is freed before the lease has its element",
        """\
    hold(w, PLACE(at, taken));
    if
    :: is_whole ->
        keep_rest(w, PLACE(at, taken + 1), count);
        free_slot()
    :: else -> pop_free(w)
    fi
}""",
        """\
    if
    :: is_whole ->
        keep_rest(w, PLACE(at, taken + 1), count);
        free_slot()
    :: else -> pop_free(w)
    fi;
    hold(w, PLACE(at, taken))
}""",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "the lease says that it holds an element before it does",
        "#if LEASES\ninline take_out(w) {\n    hand[w] = SLOT(at).holds.part[taken];",
        """\
#if LEASES
inline take_out(w) {
    in[w] = PLACE(at, taken) + 1;
    hand[w] = SLOT(at).holds.part[taken];""",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "an element is published before the lease says where",
        f"{OUT}\n{PUBLISH}",
        f"{PUBLISH}\n{OUT}",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "a slot is READY before it is filled",
        f"{FILL}\n{OUT}\n{PUBLISH}",
        f"{OUT}\n{PUBLISH}\n{FILL}",
        NO_DEATHS,
    ),
    Mutation(
        "ring",
        "mend before settle",
        "            settle(w);\n            mend(w);",
        "            mend(w);\n            settle(w);",
        ONE_EACH,
    ),
    Mutation("ring", "no settle", "            settle(w);\n", "", ONE_EACH),
    Mutation("ring", "no mend", "            mend(w);\n", "", ONE_EACH),
    Mutation(
        "ring",
        "settle takes every claim for published",
        "            :: lead_is_zero && (state == WRITING || state == ADDING) && owner == OWNER(w)\n",
        "            :: false\n",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "the replacement starts before the slots are mended",
        """\
            mend(w);
            atomic { burying = 0; gone[w] = 0; dead[w] = 0; start(w);""",
        """\
            atomic { gone[w] = 0; dead[w] = 0; start(w) };
            mend(w);
            atomic { burying = 0;""",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "mending a claim sets the slot back",
        "store(at, lap, SKIP, NOBODY, 0, 0)",
        "store(at, lap, FREE, NOBODY, 0, 0)",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "mending a slot that is read does not look into the lease",
        "    :: in[w] != PLACE(at, taken) + 1 ->",
        "    :: false ->",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "mending frees a slot before the lease has its element",
        """\
            move_into_lease(w);
            if
            :: is_last || SOLE -> store(at, lap + 1, FREE, NOBODY, 0, 0)
            :: else -> store(at, lap, READY, NOBODY, count, taken + 1)
            fi""",
        """\
            if
            :: is_last || SOLE -> store(at, lap + 1, FREE, NOBODY, 0, 0)
            :: else -> store(at, lap, READY, NOBODY, count, taken + 1)
            fi;
            move_into_lease(w)""",
        {**ONE_EACH, "SUPERVISOR_DEATHS": 1},
    ),
    Mutation(
        "ring",
        "consumers do not pass over holes",
        "        :: lead_is_zero && state == SKIP ->",
        "        :: false ->",
        ONE_EACH,
    ),
    Mutation(
        "ring",
        "a slot that is freed stays in its lap",
        "store(at, LAP(at) + 1, FREE, NOBODY, 0, 0)",
        "store(at, LAP(at), FREE, NOBODY, 0, 0)",
        NO_DEATHS,
    ),
    Mutation(
        "ring",
        "producers do not help the hint",
        "state != FREE) -> help(tail)",
        "state != FREE) -> skip",
        ONE_EACH,
        progress=True,
    ),
    Mutation(
        "ring",
        "consumers do not help the hint",
        "            :: ahead == 0 -> help_head()",
        "            :: ahead == 0 -> skip",
        ONE_EACH,
        progress=True,
    ),
    Mutation(
        "ring",
        "no second look after everybody has closed",
        "            :: last_look\n",
        "            :: last_look -> goto over\n",
        NO_DEATHS,
    ),
    Mutation(
        "ring",
        "a producer closes before its last element is published",
        "        do\n        :: in[w] == 0 && answered[w] < EACH ->",
        "        closed[w] = 1;\n        do\n        :: in[w] == 0 && answered[w] < EACH ->",
        NO_DEATHS,
    ),
]

PARK_TWO = {"WAITERS": 1, "WAKERS": 1}
PARK = [
    Mutation(
        "park",
        "no second look after the registration",
        "        there = items > 0;\n        if\n        :: there -> goto again",
        "        there = 0;\n        if\n        :: there -> goto again",
        PARK_TWO,
    ),
    Mutation(
        "park",
        "the second look comes before the registration",
        "        key = epoch;\n        tokens++;\n        there = items > 0;",
        "        key = epoch;\n        there = items > 0;\n        tokens++;",
        PARK_TWO,
    ),
    Mutation(
        "park",
        "the key is read after the second look",
        "        key = epoch;\n        tokens++;\n        there = items > 0;",
        "        tokens++;\n        there = items > 0;\n        key = epoch;",
        PARK_TWO,
    ),
    Mutation(
        "park",
        "the waker looks for waiters before it publishes",
        """\
            d_step { items++; published[me]++ };
            /* pp_spot_notify */
            if
            :: tokens > 0 || armed -> wake()
            :: else
            fi""",
        """\
            if
            :: tokens > 0 || armed -> d_step { items++; published[me]++ }; wake()
            :: else -> d_step { items++; published[me]++ }
            fi""",
        PARK_TWO,
    ),
    Mutation("park", "a wake leaves the epoch", "epoch++; os_wake_one()", "os_wake_one()", PARK_TWO),
    Mutation("park", "a wake does not call the system", "epoch++; os_wake_one()", "epoch++", PARK_TWO),
    Mutation(
        "park",
        "one wake takes every token",
        "tokens = (seen_tokens > 0 -> seen_tokens - 1 : 0); armed = 0; won = 1",
        "tokens = 0; armed = 0; won = 1",
        {"WAITERS": 2, "WAKERS": 2},
    ),
    Mutation(
        "park",
        "a token is taken by a store, not a compare-and-swap",
        ":: tokens == seen_tokens && armed == seen_armed ->",
        ":: true ->",
        {"WAITERS": 3, "WAKERS": 2, "ITEMS": 2},
    ),
    Mutation(
        "park",
        "a waiter that leaves takes a token away",
        ":: may_leave -> break\n        fi;",
        ":: may_leave -> d_step { if :: tokens > 0 -> tokens-- :: else fi }; break\n        fi;",
        {"WAITERS": 2, "QUITTERS": 1, "WAKERS": 1, "ITEMS": 2},
    ),
    Mutation(
        "park",
        "nobody is woken after a death",
        "        wake_all();\n",
        "",
        {"DEATHS": 1, "WAITERS": 1, "WAKERS": 1},
    ),
    Mutation(
        "park",
        "after a death only one is woken",
        "    os_wake_everybody();",
        "    os_wake_one();",
        {"DEATHS": 1, "WAITERS": 2, "WAKERS": 2},
    ),
    Mutation(
        "park",
        "waking everybody leaves the epoch",
        "    d_step { tokens = 0; armed = 0 };\n    epoch++;",
        "    d_step { tokens = 0; armed = 0 };",
        {"DEATHS": 1, "WAITERS": 1, "WAKERS": 1},
    ),
    Mutation(
        "park",
        "the bell is not rung",
        ":: seen_armed -> bell = 1",
        ":: seen_armed -> skip",
        {"WAITERS": 0, "LOOPS": 1, "WAKERS": 1},
    ),
    Mutation(
        "park",
        "an event loop does not look again when it has armed the spot",
        "        there = items > 0;\n        if\n        :: there\n",
        "        there = 0;\n        if\n        :: there\n",
        {"WAITERS": 0, "LOOPS": 1, "WAKERS": 1},
    ),
    Mutation(
        "park",
        "after a death the bell is not rung",
        "    os_wake_everybody();\n    bell = 1",
        "    os_wake_everybody()",
        {"WAITERS": 0, "LOOPS": 1, "WAKERS": 1, "DEATHS": 1},
    ),
]
