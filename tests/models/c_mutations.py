"""Mistakes in the C core that the checks under Relacy must notice: steps swapped, or left out."""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    check: str
    """The program of tests/models/weak/ that notices it."""
    short: bool = False
    """In CI, which has no time for all."""


MUTATIONS = [
    Mutation(
        "an element is published before the lease says where",
        "ring.c",
        """\
        pp_store_rel(&lease->out, emitted << PP_OUT_SHIFT | ((port->position + 1) & PP_OUT_MASK));
        /* Crash here: the lease names a slot that is still WRITING by us: not published. */
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);""",
        """\
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
        pp_store_rel(&lease->out, emitted << PP_OUT_SHIFT | ((port->position + 1) & PP_OUT_MASK));""",
        "lease",
    ),
    Mutation(
        "the lease counts an element as sent before it is published",
        "ring.c",
        """\
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
        /* Crash here: the slot has moved on: published. settle adds the one. */
        pp_store_rel(&lease->out, (emitted + 1) << PP_OUT_SHIFT);""",
        """\
        pp_store_rel(&lease->out, (emitted + 1) << PP_OUT_SHIFT);
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);""",
        "lease",
    ),
    Mutation(
        "a slot is freed before the lease has its element",
        "ring.c",
        """\
    hold(lease, port->position, part);
    /* Crash here: in both places: mend only frees the slot. */
    if (whole) {
        port->rest = keep_rest(lease, port->position, part + 1, count);
        port->busy++;
        free_slot(port, slot);
    } else {
        pp_pop_free(port, slot);
    }""",
        """\
    if (whole) {
        port->rest = keep_rest(lease, port->position, part + 1, count);
        port->busy++;
        free_slot(port, slot);
    } else {
        pp_pop_free(port, slot);
    }
    hold(lease, port->position, part);""",
        "lease",
        short=True,
    ),
    Mutation(
        "the lease forgets what it has sent only after it has taken",
        "ring_words.h",
        """\
    pp_store_rel(&lease->out, 0);
    pp_store_rel(&lease->in, place_of(position, part) + 1);""",
        """\
    pp_store_rel(&lease->in, place_of(position, part) + 1);
    pp_store_rel(&lease->out, 0);""",
        "lease",
    ),
    Mutation(
        "a claim for writing does not name its owner",
        "ring.c",
        "word_of(lap, port->owner, PP_WRITING)",
        "word_of(lap, 0, PP_WRITING)",
        "lease",
    ),
    Mutation(
        "a claim for reading does not name its owner",
        "ring.c",
        "turned(word, port->owner, PP_READING)",
        "turned(word, 0, PP_READING)",
        "lease",
    ),
    Mutation(
        "a claim for adding does not name its owner",
        "ring.c",
        "turned(word, port->owner, PP_ADDING)",
        "turned(word, 0, PP_ADDING)",
        "lease",
    ),
    Mutation(
        "a slot is left with its other elements in it",
        "ring.c",
        "if (is_last(claimed) || port->sole) help(&port->ring->head, position);",
        "help(&port->ring->head, position);",
        "lease",
        short=True,
    ),
    Mutation(
        "what was to be added is mended away with what was there",
        "ring_repair.c",
        "case PP_ADDING: mending = turned(word, 0, PP_READY); break;",
        "case PP_ADDING: mending = turned(word, 0, PP_SKIP); break;",
        "lease",
        short=True,
    ),
    Mutation(
        "mending frees a slot with its other elements",
        "ring_repair.c",
        "mending = is_last(word) || ring->sole",
        "mending = true",
        "lease",
    ),
    Mutation(
        "mending forgets the rest of a slot",
        "ring_repair.c",
        "    if (whole) keep_rest(lease, position, part + 1, count);\n}",
        "}",
        "lease",
    ),
    Mutation(
        "the rest of a slot begins with what is in hand",
        "ring_repair.c",
        "pp_store_rel(&lease->rest, rest + (1u << PP_PART_BITS));",
        ";",
        "lease",
        short=True,
    ),
    Mutation(
        "the rest begins behind an element before it is in hand",
        "ring.c",
        """\
        hold(lease, position, part);
        /* Crash here: in both places: mend lets the rest begin behind it. */
        port->rest = keep_rest(lease, position, part + 1, count);""",
        """\
        port->rest = keep_rest(lease, position, part + 1, count);
        hold(lease, position, part);""",
        "lease",
    ),
    Mutation(
        "nobody is told that the rest of a slot is there",
        "ring.c",
        """\
        /* Whoever looked meanwhile found nothing here. */
        pp_spot_notify(&port->ring->not_empty, port->bell);""",
        "",
        "ring",
    ),
    Mutation(
        "a waker looks for waiters before it publishes",
        "ring.c",
        """\
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
    }
    port->busy += count;
    if (port->several) port->written = (pp_recent){slot, port->position, ready};
    pp_spot_notify(&port->ring->not_empty, port->bell);""",
        """\
        pp_spot_notify(&port->ring->not_empty, port->bell);
        atomic_store_explicit(&slot->word, ready, memory_order_seq_cst);
    }
    port->busy += count;
    if (port->several) port->written = (pp_recent){slot, port->position, ready};""",
        "ring",
        short=True,
    ),
    Mutation(
        "a claim that was cancelled is set back",
        "ring_repair.c",
        "mending = turned(word, 0, PP_SKIP); break;\n            case PP_ADDING",
        "mending = turned(word, 0, PP_FREE); break;\n            case PP_ADDING",
        "lease",
    ),
    Mutation(
        "mending does not look into the lease",
        "ring_repair.c",
        "if (pp_load_acq(&lease->in) != place_of(position, part) + 1) {",
        "if (false) {",
        "lease",
    ),
    Mutation(
        "mending frees a slot before the lease has its element",
        "ring_repair.c",
        """\
                if (lease != NULL) move_into_lease(ring, &slots[i], position, word, lease);""",
        """\
                atomic_store_explicit(&slots[i].word, freed(word), memory_order_seq_cst);
                if (lease != NULL) move_into_lease(ring, &slots[i], position, word, lease);""",
        "lease",
    ),
    Mutation(
        "settle takes every claim for published",
        "ring_repair.c",
        "(still_writing ? 0 : 1)",
        "1",
        "lease",
    ),
    Mutation(
        "settle takes no claim for published",
        "ring_repair.c",
        "(still_writing ? 0 : 1)",
        "0",
        "lease",
    ),
    Mutation(
        "nobody is woken after a death",
        "ring_repair.c",
        """\
    /* Always: the dead may have taken a wake with it. */
    pp_ring_wake_all(ring, -1);
""",
        "",
        "lease",
    ),
    Mutation(
        "no notification of consumers",
        "ring.c",
        "port->position, ready};\n    pp_spot_notify(&port->ring->not_empty, port->bell);",
        "port->position, ready};",
        "ring",
    ),
    Mutation(
        "no notification of producers",
        "ring.c",
        """\
    if (pp_load_seq(&ring->not_full.waiters) != 0 && pp_ring_count(ring) <= ring->wake_below)
        pp_spot_wake(&ring->not_full, port->bell);""",
        "",
        "ring",
    ),
    Mutation(
        "nobody tells producers that the ring is empty",
        "ring.c",
        "    pp_spot_notify(&ring->not_full, port->bell);\n    if (!idle",
        "    if (!idle",
        "ring",
    ),
    Mutation(
        "no second look after everybody has closed",
        "ring.c",
        "    rc = claim_next(port, out, &idle);\n    if (rc != PP_EMPTY) return rc;\n    if (!idle",
        "    if (!idle",
        "ring",
        short=True,
    ),
    Mutation(
        "closing wakes before it sets the flag",
        "ring.c",
        "    atomic_store_explicit(&ring->open[producer], 0, memory_order_seq_cst);\n"
        "    pp_spot_wake_all(&ring->not_empty, bell);",
        "    pp_spot_wake_all(&ring->not_empty, bell);\n"
        "    atomic_store_explicit(&ring->open[producer], 0, memory_order_seq_cst);",
        "ring",
    ),
    Mutation(
        "an abort wakes before it sets the flag",
        "ring.c",
        """\
    atomic_store_explicit(&ring->aborted, 1, memory_order_seq_cst);
    pp_ring_wake_all(ring, bell);""",
        """\
    pp_ring_wake_all(ring, bell);
    atomic_store_explicit(&ring->aborted, 1, memory_order_seq_cst);""",
        "ring",
    ),
    Mutation(
        "no look behind the registration",
        "ring_wait.c",
        "    if (ready(port)) return PP_OK;\n    if (pp_load_seq",
        "    if (pp_load_seq",
        "ring",
    ),
    Mutation(
        "a slot that is freed stays in its lap",
        "ring.c",
        "atomic_store_explicit(&slot->word, freed(port->word), memory_order_seq_cst);",
        "atomic_store_explicit(&slot->word, turned(port->word, 0, PP_FREE), memory_order_seq_cst);",
        "ring",
    ),
    Mutation(
        "registering before the key is read",
        "park.h",
        """\
    uint32_t key = pp_load_acq(&spot->epoch);
    pp_add_seq(&spot->waiters, 1);
    return key;""",
        """\
    pp_add_seq(&spot->waiters, 1);
    uint32_t key = pp_load_acq(&spot->epoch);
    return key;""",
        "park",
        short=True,
    ),
    Mutation(
        "a wake leaves the epoch", "park.c", "            pp_add_acqrel(&spot->epoch, 1);\n", "", "park"
    ),
    Mutation(
        "a wake does not call the system",
        "park.c",
        "            pp_os_wake(&spot->epoch, 1, spot->shared != 0);\n",
        "",
        "park",
    ),
    Mutation(
        "one wake takes every token",
        "park.c",
        "count != 0 ? count - 1 : 0;",
        "0;",
        "park",
    ),
    Mutation(
        "the bell is not rung",
        "park.c",
        "        if (seen & PP_ARMED) pp_bell_ring(bell);\n",
        "",
        "park",
    ),
    Mutation(
        "a bell for event loops takes the tokens of sleepers",
        "park.c",
        "        if (count != 0) {\n",
        "        if (count != 0 && !(seen & PP_ARMED)) {\n",
        "park",
    ),
    Mutation(
        "waking everybody leaves the epoch",
        "park.c",
        """\
    pp_add_acqrel(&spot->epoch, 1);
    pp_os_wake(&spot->epoch, INT_MAX, spot->shared != 0);
""",
        "    pp_os_wake(&spot->epoch, INT_MAX, spot->shared != 0);\n",
        "park",
    ),
    Mutation(
        "after a death only those with tokens are woken",
        "park.c",
        """\
    pp_add_acqrel(&spot->epoch, 1);
    pp_os_wake(&spot->epoch, INT_MAX, spot->shared != 0);
""",
        """\
    if (seen == 0) return;
    pp_add_acqrel(&spot->epoch, 1);
    pp_os_wake(&spot->epoch, INT_MAX, spot->shared != 0);
""",
        "park",
    ),
    Mutation(
        "the window advances behind the look at its waiters",
        "window.h",
        """\
    atomic_store_explicit(&window->pressed, pressed, memory_order_seq_cst);
    if (pp_load_seq(&window->spot.waiters) != 0) pp_spot_wake_all(&window->spot, bell);""",
        "    if (pp_load_seq(&window->spot.waiters) != 0) pp_spot_wake_all(&window->spot, bell);\n"
        "    atomic_store_explicit(&window->pressed, pressed, memory_order_seq_cst);",
        "park",
    ),
    Mutation(
        "a window admits without a look behind the registration",
        "window.h",
        "    if (pp_window_admits(window, position)) return PP_OK;\n    if (pp_load_seq",
        "    if (pp_load_seq",
        "park",
    ),
    Mutation(
        "a released block is not found again",
        "arena.c",
        "    if (left == 0) pp_block_note_left(arena, chunk, index);\n",
        "",
        "arena",
    ),
    Mutation(
        "a block is noted before it is free",
        "arena_chunks.h",
        """\
    pp_store_seq(&pp_words_of(arena, chunk)[index], 0);
    pp_chunk_note_freed(pp_chunk_at(arena, chunk), index);""",
        """\
    pp_chunk_note_freed(pp_chunk_at(arena, chunk), index);
    pp_store_seq(&pp_words_of(arena, chunk)[index], 0);""",
        "arena",
    ),
    Mutation(
        "a block is taken without a second look at its chunk",
        "arena.c",
        "    if (pp_load_acq(&pp_chunk_at(arena, chunk)->word) == cls + 1) return true;\n",
        "    return true;\n",
        "arena",
    ),
    Mutation(
        "a search that found nothing forgets what was freed meanwhile",
        "arena.c",
        "    pp_cas64(&chunk->freed, &looking, 0);\n",
        "    pp_store_rel(&chunk->freed, 0);\n",
        "arena",
        short=True,
    ),
    Mutation(
        "repair does not set the hint",
        "arena_repair.c",
        "        pp_cas64(&c->freed, &nothing, 1);\n",
        "        (void)nothing;\n",
        "arena",
    ),
    Mutation(
        "a run gives its chunks back before its block is free",
        "arena_chunks.c",
        "    pp_store_rel(block, 0);\n    give_back(arena, chunk, end);",
        "    give_back(arena, chunk, end);\n    pp_store_rel(block, 0);",
        "arena",
    ),
    Mutation(
        "a chunk is cut while its blocks may be taken",
        "arena_chunks.c",
        """\
    if (whole) pp_store_rel(&pp_chunk_at(arena, chunk)->word, PP_CHUNK_CLAIMED | arena->owner);
    for (uint64_t i = 0; i < taken; i++) pp_block_free(arena, chunk, i);""",
        """\
    for (uint64_t i = 0; i < taken; i++) pp_block_free(arena, chunk, i);
    if (whole) pp_store_rel(&pp_chunk_at(arena, chunk)->word, PP_CHUNK_CLAIMED | arena->owner);""",
        "arena",
    ),
]
