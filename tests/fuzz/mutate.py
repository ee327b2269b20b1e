"""Takes checks out of a copy of the C core, one at a time, and looks whether the fuzzer notices.

    python tests/fuzz/mutate.py [--seconds 20]

Exit code 1 when a mistake is not found in the time given, or when its text is no longer in the file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from native import CORE, Native


class Mistake(NamedTuple):
    """A line of the core as somebody might have written it."""

    what: str
    file: str
    right: str
    wrong: str


MISTAKES = [
    Mistake(
        "an outcome is an index, whatever it is",
        "lease.c",
        "if (outcome >= PP_OUTCOMES) return PP_CORRUPT;",
        "",
    ),
    Mistake(
        "a block may lie behind the last chunk",
        "arena.c",
        "if (at >= arena->chunks) return false;",
        "",
    ),
    Mistake(
        "a block may lie behind the last chunk by one",
        "arena.c",
        "if (at >= arena->chunks) return false;",
        "if (at > arena->chunks) return false;",
    ),
    Mistake(
        "a block may have more bytes than its class",
        "arena.c",
        "return within % bytes == 0 && block.nbytes <= bytes;",
        "return within % bytes == 0;",
    ),
    Mistake(
        "a chunk may be of any class",
        "arena.c",
        "if (word == PP_CHUNK_UNUSED || word > PP_CLASSES) return false;",
        "if (word == PP_CHUNK_UNUSED) return false;",
    ),
    Mistake(
        "a run may reach beyond the arena",
        "arena_chunks.h",
        " && PP_CHUNK_VALUE(word) <= arena->chunks - chunk",
        "",
    ),
    Mistake(
        "a run may have no chunks: it is reclaimed for ever",
        "arena_chunks.h",
        "PP_CHUNK_VALUE(word) != 0 && ",
        "",
    ),
    Mistake(
        "the high-water mark is believed",
        "arena_chunks.h",
        "return end < arena->chunks ? end : arena->chunks;",
        "return end;",
    ),
    Mistake(
        "the number of reserved words is believed",
        "arena_repair.c",
        "if (words_end > PP_WORDS_MAX) words_end = PP_WORDS_MAX;",
        "",
    ),
    Mistake(
        "the number of chunks is read again from the header",
        "arena.c",
        "if (at >= arena->chunks) return false;",
        "if (at >= arena->header->chunks) return false;",
    ),
    Mistake(
        "the capacity of a ring is believed",
        "ring.c",
        "nbytes >= pp_ring_bytes(ring->capacity, ring->producers)",
        "true",
    ),
    Mistake(
        "a port's capacity is read again from the header",
        "ring.c",
        "pp_slot *slot = &port->slots[at % port->capacity];\n        uint64_t word = pp_load_acq",
        "pp_slot *slot = &port->slots[at % ring->capacity];\n        uint64_t word = pp_load_acq",
    ),
    Mistake(
        "a lap of an empty ring looks damaged",
        "ring.c",
        "if (lead < -1) return PP_CORRUPT; /* no hint moves past a slot that was not claimed */\n"
        "            if",
        "if (lead < 0) return PP_CORRUPT;\n            if",
    ),
]


def finds(mistake: Mistake, seconds: int, seed: int) -> bool:
    """Whether the fuzzer has a finding with this mistake in the core."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        core = folder / "src_c"
        shutil.copytree(CORE, core, ignore=shutil.ignore_patterns("tests"))
        text = (core / mistake.file).read_text()
        if text.count(mistake.right) != 1:
            raise SystemExit(f"{mistake.file} does not have once: {mistake.right}")
        (core / mistake.file).write_text(text.replace(mistake.right, mistake.wrong))
        os.chdir(folder)  # where findings are left
        _, report = Native(folder, core).run(seconds, seed)
        os.chdir(CORE)
    return report != ""


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=20, help="for each mistake, at most")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    survivors = 0
    for mistake in MISTAKES:
        found = finds(mistake, options.seconds, options.seed)
        survivors += not found
        print(f"{'found' if found else 'NOT FOUND'}: {mistake.what}", flush=True)
    print(f"mistakes: {len(MISTAKES)}, found: {len(MISTAKES) - survivors}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
