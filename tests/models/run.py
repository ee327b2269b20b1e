"""Check the models of the ring and of the park protocol with spin, and that spin notices mistakes in them.

    python tests/models/run.py           small bounds
    python tests/models/run.py --full    larger bounds (some minutes, some gigabytes)

Every state that the bounds allow is visited.  Exit code 1 when a model fails, or when a mutation of it does
not: then the model would not show the mistake either.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from model_mutations import PARK, RING, Mutation
from several_mutations import SEVERAL
from tools import changed, install

FOLDER = Path(__file__).resolve().parent


class Bounds(NamedTuple):
    model: str
    values: dict[str, int]
    progress: bool = False

    def __str__(self) -> str:
        values = " ".join(f"{name.lower()}={value}" for name, value in self.values.items())
        return f"{self.model} ({values}{', progress' if self.progress else ''})"


def ring(producers: int, consumers: int, capacity: int, each: int, deaths: int, of_supervisor: int) -> Bounds:
    names = ["PRODUCERS", "CONSUMERS", "CAPACITY", "EACH", "DEATHS", "SUPERVISOR_DEATHS"]
    return Bounds(
        "ring", dict(zip(names, [producers, consumers, capacity, each, deaths, of_supervisor], strict=True))
    )


def several(bounds: Bounds, most: int) -> Bounds:
    """So many elements to a slot."""
    return with_values(bounds, MOST=most)


def sole(bounds: Bounds) -> Bounds:
    return with_values(bounds, SOLE=1)


def filled(bounds: Bounds) -> Bounds:
    """Consumers among themselves: a producer beside two of them is for --full, and there without a death."""
    return with_values(bounds, FILLED=1)


def without_lease(bounds: Bounds) -> Bounds:
    return with_values(bounds, LEASES=0, LAST_MORTAL=bounds.values["PRODUCERS"] - 1)


def park(waiters: int, quitters: int, loops: int, wakers: int, items: int, deaths: int) -> Bounds:
    names = ["WAITERS", "QUITTERS", "LOOPS", "WAKERS", "ITEMS", "DEATHS"]
    return Bounds("park", dict(zip(names, [waiters, quitters, loops, wakers, items, deaths], strict=True)))


def with_values(bounds: Bounds, **values: int) -> Bounds:
    return bounds._replace(values={**bounds.values, **values})


def in_circles(bounds: Bounds) -> Bounds:
    return bounds._replace(progress=True)


def mortal(bounds: Bounds, first: int, last: int) -> Bounds:
    return with_values(bounds, FIRST_MORTAL=first, LAST_MORTAL=last)


SHORT = [
    ring(1, 1, 1, 2, 1, 1),
    ring(1, 1, 2, 3, 1, 0),
    ring(2, 1, 1, 1, 0, 0),
    ring(1, 2, 1, 1, 0, 0),
    in_circles(ring(1, 1, 1, 1, 1, 0)),
    # Adding beside taking, with a death on either side; and what two consumers of a slot do to each other.
    several(ring(1, 1, 1, 3, 1, 1), 2),
    several(ring(1, 1, 2, 3, 1, 0), 2),
    sole(several(ring(1, 1, 1, 3, 1, 1), 2)),
    without_lease(sole(several(ring(1, 1, 1, 3, 1, 0), 3))),
    filled(several(ring(1, 2, 2, 4, 0, 0), 2)),
    mortal(filled(several(ring(1, 2, 1, 2, 1, 0), 2)), 1, 1),
    in_circles(several(ring(1, 1, 1, 2, 1, 0), 2)),
    park(2, 0, 0, 2, 1, 0),
    park(1, 1, 0, 2, 1, 0),
    park(1, 0, 1, 1, 1, 1),
    park(2, 0, 0, 1, 2, 1),
]
FULL = [
    *SHORT,
    ring(2, 1, 1, 2, 0, 0),
    ring(1, 2, 1, 2, 0, 0),
    ring(1, 2, 2, 3, 0, 0),
    ring(1, 1, 1, 2, 2, 1),
    ring(1, 1, 2, 3, 2, 1),
    mortal(ring(2, 1, 1, 1, 1, 1), 0, 0),
    mortal(ring(2, 1, 1, 1, 1, 1), 2, 2),
    mortal(ring(2, 1, 2, 1, 1, 0), 0, 0),
    mortal(ring(1, 2, 1, 1, 1, 0), 0, 0),
    mortal(ring(1, 2, 1, 1, 1, 0), 1, 1),
    mortal(filled(ring(1, 2, 2, 2, 1, 1)), 1, 1),
    in_circles(ring(2, 1, 1, 1, 0, 0)),
    in_circles(ring(1, 2, 1, 2, 0, 0)),
    several(ring(1, 1, 2, 4, 1, 1), 3),
    several(ring(2, 1, 1, 2, 0, 0), 2),
    several(ring(1, 2, 1, 2, 0, 0), 2),
    sole(several(ring(1, 1, 2, 4, 1, 1), 3)),
    sole(several(ring(1, 1, 1, 3, 2, 0), 3)),
    without_lease(sole(several(ring(2, 1, 1, 2, 0, 0), 2))),
    mortal(filled(several(ring(1, 2, 1, 2, 1, 1), 2)), 1, 1),
    mortal(filled(several(ring(1, 2, 1, 3, 1, 0), 3)), 1, 2),
    mortal(filled(several(ring(1, 2, 2, 4, 1, 0), 2)), 1, 1),
    in_circles(filled(several(ring(1, 2, 2, 3, 0, 0), 2))),
    park(1, 0, 1, 2, 1, 1),
    park(2, 0, 0, 2, 1, 1),
    park(1, 1, 0, 2, 1, 1),
    park(1, 0, 1, 2, 2, 0),
    park(3, 0, 0, 2, 2, 0),
]


def text_of(model: str) -> str:
    """The model in one piece: a mistake may be in any of its files."""
    text = (FOLDER / f"{model}.pml").read_text()
    return re.sub(
        r'^#include "(.*)"$', lambda match: (FOLDER / match[1]).read_text(), text, flags=re.MULTILINE
    )


class Verdict(NamedTuple):
    errors: int
    states: int
    seconds: float
    said: str


def verify(text: str, bounds: Bounds, folder: Path, level: str) -> Verdict:
    """Visit every state of the model; `folder` is an empty one of its own, `level` is the compiler's."""
    (folder / "model.pml").write_text(text)
    defines = [f"-D{name}={value}" for name, value in bounds.values.items()]
    generated = subprocess.run(
        ["spin", "-a", *defines, "model.pml"], cwd=folder, capture_output=True, text=True
    )
    if not (folder / "pan.c").exists():
        raise SystemExit(f"{bounds}: {generated.stdout}{generated.stderr}")
    # -DNOFAIR: nothing here needs fairness, and its copies of the state space cost a factor.
    kind = ["-DNP", "-DNOFAIR"] if bounds.progress else ["-DSAFETY"]
    # Most of the time goes into compiling what runs for a moment, and there clang takes half of gcc's.
    compiler = shutil.which("clang") if level == "-O0" else None
    subprocess.run([compiler or "gcc", level, "-w", *kind, "-o", "pan", "pan.c"], cwd=folder, check=True)
    start = time.monotonic()
    ran = subprocess.run(
        ["./pan", "-m200000", *(["-l"] if bounds.progress else [])],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    errors = re.search(r"errors: (\d+)", ran.stdout)
    states = re.search(r"(\d+(?:\.\d+)?(?:e\+\d+)?) states, stored", ran.stdout)
    if errors is None or states is None or "max search depth too small" in ran.stdout:
        raise SystemExit(f"{bounds}: {ran.stdout}{ran.stderr}")
    said = re.search(r"^pan:\d+: (.*)", ran.stdout, re.MULTILINE)
    return Verdict(int(errors[1]), int(float(states[1])), time.monotonic() - start, said[1] if said else "")


def check_model(bounds: Bounds, scratch: Path) -> bool:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    verdict = verify(text_of(bounds.model), bounds, folder, "-Og")
    if verdict.errors:
        print(f"FAILED   {bounds}: {verdict.said}", flush=True)
        shutil.copy(folder / "model.pml.trail", f"{bounds.model}.trail")
    else:
        print(f"passed   {bounds}: {verdict.states} states, {verdict.seconds:.1f} s", flush=True)
    return verdict.errors == 0


def check_mutation(mutation: Mutation, scratch: Path) -> bool:
    text = changed(text_of(mutation.model), mutation.old, mutation.new, mutation.name)
    bounds = Bounds(mutation.model, mutation.bounds, mutation.progress)
    verdict = verify(text, bounds, Path(tempfile.mkdtemp(dir=scratch)), "-O0")
    word = "noticed" if verdict.errors else "SURVIVED"
    print(f"{word:8} {mutation.model}: {mutation.name}: {verdict.said}", flush=True)
    return verdict.errors > 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="larger bounds")
    parser.add_argument("--no-mutations", action="store_true", help="only the models")
    arguments = parser.parse_args()
    install("spin", "spin")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as pool:
        models = list(
            pool.map(lambda bounds: check_model(bounds, Path(scratch)), FULL if arguments.full else SHORT)
        )
        mutations = [] if arguments.no_mutations else [*RING, *SEVERAL, *PARK]
        noticed = list(pool.map(lambda mutation: check_mutation(mutation, Path(scratch)), mutations))
    seconds = time.monotonic() - start
    print(f"models: {sum(models)} of {len(models)} passed; ", end="")
    print(f"mutations: {sum(noticed)} of {len(noticed)} noticed; {seconds:.0f} s")
    return 0 if all(models) and all(noticed) else 1


if __name__ == "__main__":
    sys.exit(main())
