"""Mistakes in src_c/holding.c that the check under Relacy must notice."""

from __future__ import annotations

from c_mutations import Mutation

HOLDING = [
    Mutation(
        "a block that is dropped is not found again",
        "holding.c",
        "    if (left == 0) pp_block_note_left(arena, chunk, index);\n    *freed",
        "    *freed",
        "holding",
        short=True,
    ),
    Mutation(
        "a block whose receiver was quick is not found again",
        "holding.c",
        "    if (left == 0) pp_block_note_left(arena, chunk, index);\n    return PP_OK;",
        "    return PP_OK;",
        "holding",
    ),
    Mutation(
        "a block of the dead is not found again",
        "holding.c",
        "            if (left == 0 && seen != 0) pp_block_note_left(arena, chunk, i);\n",
        "",
        "holding",
    ),
    Mutation(
        "what is held stays allocated as well",
        "holding.c",
        "(seen == PP_BLOCK_OWNED(arena->owner) ? 0 : seen) | PP_BLOCK_HELD(holder)",
        "seen | PP_BLOCK_HELD(holder)",
        "holding",
    ),
    Mutation(
        "a block is lent without a mark",
        "holding.c",
        "(unmarked(seen) | PP_BLOCK_OWNED(lender)) + 1",
        "seen + 1",
        "holding",
        short=True,
    ),
    Mutation(
        "a lender's mark is written over another's",
        "holding.c",
        "(unmarked(seen) | PP_BLOCK_OWNED(lender)) + 1",
        "(seen | PP_BLOCK_OWNED(lender)) + 1",
        "holding",
    ),
    Mutation(
        "a late lender takes away another's mark",
        "holding.c",
        "        if (PP_BLOCK_OWNER(seen) != lender) return PP_OK;\n",
        "",
        "holding",
        short=True,
    ),
    Mutation(
        "the mark that is taken away is stored, not swapped",
        "holding.c",
        """\
        left = unmarked(seen);
    } while (!pp_cas64_seq(word, &seen, pp_block_left(arena, left)));""",
        """\
        left = unmarked(seen);
        pp_store_seq(word, pp_block_left(arena, left));
    } while (false);""",
        "holding",
    ),
    Mutation(
        "what is returned keeps its mark",
        "holding.c",
        "(PP_BLOCK_OWNER(seen) == lender ? unmarked(seen) : seen) - 1",
        "seen - 1",
        "holding",
    ),
    Mutation(
        "who is about to return a block writes over another's mark",
        "holding.c",
        "        if (PP_BLOCK_OWNER(seen) != 0) return PP_FULL;\n",
        "",
        "holding",
    ),
    Mutation(
        "a death undoes what was sent",
        "holding.c",
        "return undo && PP_BLOCK_COUNT(left) != 0",
        "return PP_BLOCK_COUNT(left) != 0",
        "holding",
        short=True,
    ),
    Mutation(
        "a death lets stand what was not sent",
        "holding.c",
        "return undo && PP_BLOCK_COUNT(left) != 0 ? left - 1 : left;",
        "return left;",
        "holding",
    ),
    Mutation(
        "the dead go on holding",
        "holding.c",
        "uint64_t left = word & ~held;",
        "uint64_t left = word;",
        "holding",
    ),
    Mutation(
        "a sum is looked at before its own part is counted",
        "holding.c",
        """\
    atomic_fetch_add_explicit(&held[holder], nbytes, memory_order_seq_cst);
    uint64_t all = 0;
    for (unsigned i = 0; i < PP_HOLDERS; i++) all += pp_load_seq(&held[i]);
    if (all <= limit) return true;
    pp_arena_unhold(arena, holder, nbytes);
    return false;""",
        """\
    uint64_t all = nbytes;
    for (unsigned i = 0; i < PP_HOLDERS; i++) all += pp_load_seq(&held[i]);
    if (all > limit) return false;
    atomic_fetch_add_explicit(&held[holder], nbytes, memory_order_seq_cst);
    return true;""",
        "holding",
    ),
    Mutation(
        "what was too much stays counted",
        "holding.c",
        "    pp_arena_unhold(arena, holder, nbytes);\n    return false;",
        "    return false;",
        "holding",
    ),
]
