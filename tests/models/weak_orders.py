"""Which weakened memory orders no check can notice, and why; and which must not be weakened together.

Every order of every atomic operation of ring, park, lease, window, arena and holding is weakened by
mutate.py, one at a time and to every weaker order.  What no check notices must be covered by a line of
EQUIVALENT, or the run fails.
"""

from __future__ import annotations

from typing import NamedTuple


class Equivalent(NamedTuple):
    pattern: str
    """A regular expression that is searched for in "file: function: call -> order"."""
    why: str


EQUIVALENT = [
    Equivalent(
        r"help: |&ring->(head|tail)\)|high_water",
        "A hint.  A stale one names a slot that is past, which the slot's own word says; the hint is "
        "helped and read again.",
    ),
    Equivalent(
        r"failed -> relaxed",
        "What a failed swap found is only compared: with zero, with a count, or by the next swap, "
        "which acquires.",
    ),
    Equivalent(
        r"ring\.c: pp_push_claim: pp_(load_acq|cas64)\(&slot->word",
        "The look and the swap both acquire, and either would do (CLAIM_FOR_WRITING weakens both).  "
        "The swap has nothing to release: the producer has written nothing yet.",
    ),
    Equivalent(
        r"ring\.c: take: pp_cas64\(&slot->word|ring\.c: look: pp_load_seq\(&slot->word\) -> relaxed",
        "The look and the swap both acquire, and either would do (CLAIM_FOR_READING weakens both).  "
        "The swap has nothing to release.",
    ),
    Equivalent(
        r"lease->",
        "Written by the worker; read by itself, or by the supervisor and the replacement, after the "
        "kernel has said that it is dead, which orders everything that it did.  Release keeps the "
        "compiler from moving the stores past each other: a death is a crash of one thread, and only "
        "the order of the instructions counts.",
    ),
    Equivalent(
        r"ring_repair\.c: (pp_ring_settle|pp_ring_mend): pp_load_acq",
        "Read after the kernel's word that the owner is dead, and nobody else changes a slot that names it.",
    ),
    Equivalent(
        r"ring_repair\.c: pp_ring_mend: atomic_store.* -> release"
        r"|ring\.c: (close_producer|pp_ring_abort): atomic_store",
        "pp_spot_wake_all follows.  Its exchange of `waiters` is a read-modify-write: a waiter that "
        "registers behind it reads from it, and so sees the store; one that registered before is "
        "woken.  (CLOSING: the flags and the looks together.)",
    ),
    Equivalent(
        r"ring\.c: pp_push_reopen: pp_cas64\(&written->slot->word",
        "The swap compares with the word that this thread stored itself, and nobody has changed it: there is "
        "nothing to acquire, and nothing written yet to release.",
    ),
    Equivalent(
        r"ring\.c: pp_push_cancel: ",
        "As the store of READY, which is checked: a hole is published like an element, and only when "
        "filling a slot failed.",
    ),
    Equivalent(
        r"ring\.c: all_closed: pp_load_seq",
        "A wait is also ended by pp_spot_wake_all, as above; what was published before the flag is "
        "found by a seq_cst look (CLOSING weakens both).",
    ),
    Equivalent(
        r"ring\.c: free_slot: pp_load_seq\(&ring->not_full\.waiters\)",
        "A wake that is missed here is made good by the notification of whoever finds the ring empty.",
    ),
    Equivalent(
        r"aborted\) -> ", "pp_spot_wake_all orders the flag, as above; and nothing is read through it."
    ),
    Equivalent(
        r"park\.h: pp_spot_register: pp_load_acq\(&spot->epoch\)",
        "The addition that follows releases, so the load stays before it; acquire says so at the place.",
    ),
    Equivalent(
        r"park\.c: pp_spot_wake: pp_(load_acq|cas32)\(&spot->waiters",
        "The swap decides, and tokens carry no data.  Reading an older value after notify has read "
        "this word is not possible.",
    ),
    Equivalent(
        r"park\.c: pp_spot_wake(_all)?: pp_add_acqrel\(&spot->epoch",
        "The kernel compares `epoch` and sleeps under the lock that a wake takes.  Nothing is read "
        "through it.",
    ),
    Equivalent(
        r"park\.c: pp_spot_wake_all: atomic_exchange",
        "A read-modify-write is always of the latest value.  Its release is what the waiter's addition "
        "acquires; that it is needed Relacy cannot show, where a seq_cst look always sees the last store.",
    ),
    Equivalent(
        r"arena_repair\.c: pp_arena_usage: |ring\.c: pp_ring_elements: ",
        "Figures.",
    ),
    Equivalent(
        r"arena_repair\.c: ",
        "Words that name the dead, after the kernel's word that it is dead: nobody else writes them."
        "  pp_block_free, which is checked, publishes what is mended.",
    ),
    Equivalent(
        r"holding\.c: pp_block_\w+: pp_load_acq\(word\)",
        "The swap looks again.  What is decided without one is about a bit or a mark that the caller wrote "
        "itself, or a count that it came by with the block; and who takes a mark that is gone for one that "
        "is there does without its own (leave).",
    ),
    Equivalent(
        r"holding\.c: pp_block_(hold|lend|leave): pp_cas64\(word",
        "The block is the caller's already, by the slot or the lease that names it, which ordered its "
        "content; and nothing is given up.  A swap, however weak, does not end the release sequence of one "
        "that does.",
    ),
    Equivalent(
        r"holding\.c: (pp_arena_unhold: |pp_arena_settle: pp_store_rel\(&arena->header->held)",
        "A sum.  Who sees an old one sees too much, and copies where it could have held.",
    ),
    Equivalent(
        r"holding\.c: pp_arena_settle: pp_load_acq\((&words|&pp_chunk_at\(arena, chunk\)->reserved_words)",
        "Only words that name the dead matter.  The kernel's word that it is dead orders what it wrote and "
        "the reservation before it, nobody else writes its name, and the swap looks again.",
    ),
    Equivalent(
        r"arena\.c: take: (pp_load_acq\(&pp_chunk_at|pp_cas64.* -> acquire)",
        "The swap before the load has acquired what the last owner of the block released, the chunk's"
        " new cut included; it has itself nothing to release.",
    ),
    Equivalent(
        r"arena\.c: take_in_chunk: pp_(store_rel|cas64)|pp_chunk_note_freed: pp_store_rel",
        "`freed` says where to look, and the words that it leads to are looked at for themselves.",
    ),
    Equivalent(
        r"arena_chunks\.h: pp_block_free: .* -> release",
        "Not shown: no check reaches the give-back of a block of a chunk that was cut anew while another "
        "participant searches it.  The same pair of operations is checked in pp_arena_release.",
    ),
    Equivalent(
        r"pp_load_acq\(&pp_chunk_at\(arena, \w+\)->word\) -> relaxed",
        "Followed by the swap of a block word of the chunk, which acquires, and by a second look "
        "(take, reuse_run, reclaim_*); or the caller has the descriptor of a block in use, and came "
        "by it behind the cut (locate).",
    ),
    Equivalent(
        r"arena\.c: pp_arena_(publish: pp_store_rel|retain: |release: pp_load_acq)",
        "The slot that carries the descriptor orders the content; a count goes up or down by swaps, "
        "and the last one, which frees, is sequentially consistent.",
    ),
    Equivalent(
        r"arena_chunks\.c: (claim|give_back|reserve|pp_chunks_cut|pp_chunks_take_run|reclaim_\w+): "
        r"pp_(store_rel|load_acq|cas64)\((&c->|&pp_chunk_at|pp_words_of)",
        "What an UNUSED chunk hands on is zero words, which every swap of a block word looks at "
        "itself, and pages, which are a matter of the kernel's.  What a cut hands on is a class, "
        "which every user looks at again behind its own swap.",
    ),
    Equivalent(
        r"arena_chunks\.c: \w+: pp_cas64\((block|&words\[taken\]).* -> acquire",
        "The swap takes; it has nothing to release.",
    ),
]


class Group(NamedTuple):
    name: str
    checks: tuple[str, ...]
    weakened: tuple[tuple[str, str], ...]
    """(regular expression for "file: function: call", order)."""


TOGETHER = [
    Group(
        "CLAIM_FOR_WRITING",
        ("ring",),
        (
            (r"pp_push_claim: pp_load_acq\(&slot->word\)", "relaxed"),
            (r"pp_push_claim: pp_cas64\(&slot->word", "relaxed"),
            (r"can_push: pp_load_seq", "relaxed"),
        ),
    ),
    Group(
        "CLAIM_FOR_READING",
        ("ring",),
        (
            (r"look: pp_load_seq\(&slot->word\)", "relaxed"),
            (r"take: pp_cas64\(&slot->word", "relaxed"),
        ),
    ),
    Group(
        "CLOSING",
        ("ring",),
        (
            (r"close_producer: atomic_store", "relaxed"),
            (r"all_closed: pp_load_seq", "relaxed"),
            (r"look: pp_load_seq\(&slot->word\)", "acquire"),
        ),
    ),
]
