"""Mistakes with several elements in a slot that the model of the ring must notice."""

from __future__ import annotations

from model_mutations import FILL, NO_DEATHS, ONE_EACH, OUT, PUBLISH, Mutation

TWO_IN_A_SLOT = {**ONE_EACH, "MOST": 2}
TAKES_ALL = {**TWO_IN_A_SLOT, "SOLE": 1}
WITHOUT_LEASE = {**NO_DEATHS, "MOST": 2, "SOLE": 1, "LEASES": 0}
NOBODY_DIES = {**NO_DEATHS, "MOST": 2}
BESIDE_EACH_OTHER = {**NOBODY_DIES, "CONSUMERS": 2, "FILLED": 1}

KEEP_PACK = """\
    if
    :: is_whole -> copy(pack[w], SLOT(at).holds)
    :: else
    fi;
"""

SEVERAL = [
    Mutation(
        "ring",
        "a claim for adding does not name its owner",
        "swap(at, lap, ADDING, OWNER(w), count, taken)",
        "swap(at, lap, ADDING, NOBODY, count, taken)",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "a slot is opened again by a store, not a compare-and-swap",
        "swap(at, lap, ADDING, OWNER(w), count, taken)",
        "store(at, lap, ADDING, OWNER(w), count, taken); won = 1",
        NOBODY_DIES,
    ),
    Mutation(
        "ring",
        "a slot is opened again as if it had just been claimed",
        "swap(at, lap, ADDING, OWNER(w), count, taken)",
        "swap(at, lap, WRITING, OWNER(w), count, taken)",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "there is no end to adding",
        "        :: count < MOST -> swap",
        "        :: true -> swap",
        {**NOBODY_DIES, "EACH": 3},
    ),
    Mutation(
        "ring",
        "an element that is added is published before it is written",
        f"{FILL}\n{OUT}\n{PUBLISH}",
        f"{OUT}\n{PUBLISH}\n{FILL}",
        NOBODY_DIES,
    ),
    Mutation(
        "ring",
        "settle takes what was being added for published",
        "(state == WRITING || state == ADDING) && owner",
        "state == WRITING && owner",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "what was to be added is mended away with what was there",
        "store(at, lap, READY, NOBODY, count, taken)",
        "store(at, lap, SKIP, NOBODY, 0, 0)",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "mending publishes what was to be added",
        "store(at, lap, READY, NOBODY, count, taken)",
        "store(at, lap, READY, NOBODY, count + 1, taken)",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "who takes one element passes the slot with the others in it",
        "    :: won && (is_last || SOLE) -> help_head()",
        "    :: won -> help_head()",
        NOBODY_DIES,
    ),
    Mutation(
        "ring",
        "who finds a slot that is read passes it with the others in it",
        "state == READING && is_last) ->",
        "state == READING) ->",
        BESIDE_EACH_OTHER,
    ),
    Mutation(
        "ring",
        "who takes one element frees the slot",
        "    :: is_last -> free_slot()",
        "    :: true -> free_slot()",
        NOBODY_DIES,
    ),
    Mutation(
        "ring",
        "an element that is out stays in the slot",
        "store(at, LAP(at), READY, OWNER(w), count, taken + 1)",
        "store(at, LAP(at), READY, OWNER(w), count, taken)",
        NOBODY_DIES,
    ),
    Mutation(
        "ring",
        "a slot is gone on with as if nobody else could have taken from it",
        """\
    :: atomic { found_something -> see_what_was_found() }; take(w)
    :: else""",
        """\
    :: found_something ->
        see_what_was_found();
        store(at, lap, READING, OWNER(w), count, taken); won = 1
    :: else""",
        BESIDE_EACH_OTHER,
    ),
    Mutation(
        "ring",
        "who looks for a slot of its own forgets the one that it found before",
        "            idle = (ahead == 0 && state == FREE); break",
        "            forget_what_was_found(); idle = (ahead == 0 && state == FREE); break",
        {**BESIDE_EACH_OTHER, "CAPACITY": 2},
        progress=True,
    ),
    Mutation(
        "ring",
        "whoever is idle waits for the elements behind a slot that is being read",
        "state == READING && !is_last -> ahead++",
        "state == READING && !is_last -> idle = 0; break",
        {**BESIDE_EACH_OTHER, "CAPACITY": 2, "EACH": 3},
        progress=True,
    ),
    Mutation(
        "ring",
        "mending frees a slot with its other elements",
        "            :: is_last || SOLE -> store",
        "            :: true -> store",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "mending leaves the element in the slot that it has moved into the lease",
        "store(at, lap, READY, NOBODY, count, taken + 1)",
        "store(at, lap, READY, NOBODY, count, taken)",
        TWO_IN_A_SLOT,
    ),
    Mutation(
        "ring",
        "mending leaves a sole consumer's rest in the slot as well",
        "            :: is_last || SOLE -> store",
        "            :: is_last -> store",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "mending forgets the rest of a slot",
        """\
    if
    :: is_whole -> keep_rest(w, PLACE(at, taken + 1), count)
    :: else
    fi
}""",
        "    skip\n}",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "mending keeps the rest, and not the elements of it",
        "        if\n        :: is_whole -> copy(pack[w], SLOT(at).holds)\n        :: else\n        fi;\n",
        "",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "the rest of a slot begins with what is in hand",
        "    settle_rest(w);\n    number",
        "    number",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "the rest begins behind an element before it is in hand",
        """\
#if LEASES
    hold(w, rest[w].place);
#endif
    keep_rest(w, rest[w].place + 1, rest[w].count)""",
        """\
    keep_rest(w, rest[w].place + 1, rest[w].count);
#if LEASES
    hold(w, rest[w].place - 1)
#endif""",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "the first element is in hand before the rest is kept",
        f"{KEEP_PACK}    hold(w, PLACE(at, taken));\n",
        f"    hold(w, PLACE(at, taken));\n{KEEP_PACK}",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "a slot is freed before the lease says that it has the rest",
        "        keep_rest(w, PLACE(at, taken + 1), count);\n        free_slot()",
        "        free_slot();\n        keep_rest(w, PLACE(at, taken + 1), count)",
        TAKES_ALL,
    ),
    Mutation(
        "ring",
        "a slot is freed before a consumer without a lease has copied it",
        """\
        copy(pack[w], SLOT(at).holds);
        keep_rest(w, PLACE(at, taken), count);
        free_slot();""",
        """\
        free_slot();
        copy(pack[w], SLOT(at).holds);
        keep_rest(w, PLACE(at, taken), count);""",
        WITHOUT_LEASE,
    ),
]
