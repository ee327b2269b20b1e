"""Builds and runs the fuzzer of the C core, tests/fuzz/c/, under AddressSanitizer and UBSan.

clang brings libFuzzer, which is led by what each input reaches; any other compiler takes driver.c, which is
not. Inputs that are findings are left in the folder from which this is run.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "src_c"

FLAGS = "-std=c11 -D_DEFAULT_SOURCE -O1 -g1 -pthread -fno-sanitize-recover=all"
# segment_*.c is left out: the target says itself what may be reserved.
PARTS = [
    "ring",
    "ring_repair",
    "ring_wait",
    "park",
    "park_linux",
    "lease",
    "fault_point",
    "arena",
    "arena_chunks",
    "arena_repair",
    "holding",
]

INPUT_NBYTES = 400
SEEDS = 100
INPUT_TIMEOUT_S = 5
# What a program may take beside the time that it was given: its start, and the report of a finding.
GRACE_S = 60


class Native:
    """The program, built.

    Args:
        folder: Where it is built, and keeps what it has learnt.
        core: The C core that is fuzzed.
        guided: With libFuzzer, if the compiler has it.
    """

    def __init__(self, folder: Path, core: Path = CORE, guided: bool = True) -> None:
        self._folder = folder
        self._program = folder / "fuzz_memory"
        self._corpus = folder / "corpus"
        self._corpus.mkdir(exist_ok=True)
        self.guided = guided and shutil.which("clang") is not None and self._build(core, True)
        if not self.guided and not self._build(core, False):
            raise RuntimeError("the fuzzer of the C core does not compile")

    def _build(self, core: Path, guided: bool) -> bool:
        sources = [HERE / "c" / "fuzz_memory.c", *(core / f"{part}.c" for part in PARTS)]
        if guided:
            command = ["clang", "-fsanitize=fuzzer,address,undefined"]
        else:
            command = [*shlex.split(os.environ.get("CC", "cc")), "-fsanitize=address,undefined"]
            sources.append(HERE / "c" / "driver.c")
        command += [*FLAGS.split(), f"-I{core}", *map(str, sources), "-o", str(self._program)]
        # A clang without libFuzzer is no error: the other build follows, and says what is.
        quiet = subprocess.DEVNULL if guided else None
        return subprocess.run(command, stderr=quiet).returncode == 0

    def repeat(self, kept: Path) -> int:
        """One input again, kept from a finding; the exit code."""
        return subprocess.run([str(self._program), str(kept)]).returncode

    def run(self, seconds: int, seed: int) -> tuple[int, str]:
        """Go on for so long, or until a finding. How many inputs that were, and the report ('' when none)."""
        if self.guided:
            # Long enough to damage something and then use it; from nothing that takes a minute.
            chance = random.Random(seed)
            for number in range(SEEDS):
                (self._corpus / f"seed-{number}").write_bytes(chance.randbytes(INPUT_NBYTES))
            command = [
                str(self._program),
                f"-max_total_time={seconds}",
                f"-seed={seed % 2**31 + 1}",
                f"-max_len={INPUT_NBYTES}",
                "-len_control=0",
                f"-timeout={INPUT_TIMEOUT_S}",
                "-print_final_stats=1",
                "-verbosity=0",
                str(self._corpus),
            ]
        else:
            command = [str(self._program), str(seconds), str(seed)]
        ran = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds + GRACE_S,
        )
        found = re.search(r"number_of_executed_units: (\d+)|^(\d+) inputs$", ran.stdout, re.M)
        count = int(found[1] or found[2]) if found else 0
        return count, ran.stdout if ran.returncode else ""
