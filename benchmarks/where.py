"""Where the nanoseconds of one element go: samples of a running pipeline, by step.

    python benchmarks/where.py [--front pr] [--payload ints] [--elements 2000000] [--rate 2000]

Runs `front.map(f, elements, workers=1)` under `perf record` and sums the samples of each thread by step. What
a sample belongs to is what its innermost function of pypeln says (STEPS); what was called below that, the
interpreter and the kernel, counts with it. Start and end, which have no such function, are left out.

Needs Linux's perf, with the right to use it, and a pypeln that has its symbols, installed as a copy:

    CFLAGS=-g pip install --config-settings=install.strip=false .
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pypeln as pl

# The step of a function of pypeln: the first pattern that its name matches. Compiled methods are called
# <module>_<Class>_<method> here.
STEPS = [
    ("wait and wake", r"pp_wait|wait_for|pp_nap|pp_os_|pp_wake|pp_spin|_pause$|drained|pp_park|bells"),
    ("decode", r"decode|decoder_|open_|copied"),
    ("encode", r"encode|encoder_|scalars_put|stow|pp_pack_add|pp_long_value"),
    ("publish", r"pp_push|pp_pack|pp_tip|published|push_pack|SharedOut|LocalOut|outlets_|OutPort_(send|put)"),
    ("claim", r"pp_pop|pp_part|claim|take|look|pp_lease|SharedIn|LocalIn|queue_6InPort"),
    ("source", r"pour|feeder_"),
    ("worker's loop", r"worker_"),
    ("deliver", r"results_"),
]
CALLS = re.compile(r"_?Py(Object_(Vectorcall|Call)|Eval_|Vectorcall)")
OWN = re.compile(r"^(pp_|__pyx_|" + "|".join(pattern.strip("_") for _, pattern in STEPS) + ")")


def f(x: object) -> object:
    """What the stage calls."""
    return x


PAYLOADS = {
    "ints": range,
    "floats": lambda n: [float(x) for x in range(n)],
    "dicts": lambda n: [{f"field{i}": i * x for i in range(10)} for x in range(1000)] * (n // 1000),
}


def pipeline(front: str, payload: str, elements: int) -> None:
    """What is looked at. Everything must arrive."""
    source = PAYLOADS[payload](elements)
    count = sum(1 for _ in getattr(pl, front).map(f, source, workers=1))
    if count != len(source):
        raise SystemExit(f"{len(source)} elements went in, {count} came out")


def plain(symbol: str) -> str:
    """A symbol without what Cython puts around it: __pyx_f_6pypeln_5_core_6shared_9SharedOut_give."""
    return re.sub(r"^__pyx_\w*?6pypeln_5_core_\d+", "__pyx_", symbol)


def samples(data: Path) -> Iterator[tuple[str, list[str]]]:
    """For each sample: its thread, as "process/thread", and its functions, innermost first."""
    text = subprocess.run(
        ["perf", "script", "-i", data, "-F", "pid,tid,ip,sym"], capture_output=True, text=True, check=True
    ).stdout
    for block in text.split("\n\n"):
        thread, *frames = block.strip("\n").split("\n")
        if frames:
            yield (
                thread.strip(),
                [plain(frame.split(None, 1)[-1].removesuffix(" (inlined)")) for frame in frames],
            )


def step_of(frames: list[str]) -> str | None:
    """What a sample belongs to; None when no function of pypeln is in it."""
    for depth, frame in enumerate(frames):
        if not OWN.match(frame):
            continue
        name = frame.removeprefix("__pyx_")
        step = next((step for step, pattern in STEPS if re.search(pattern, name)), "other")
        if step == "worker's loop" and any(CALLS.match(each) for each in frames[:depth]):
            return "call of f"
        return step
    return None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--front", choices=["pr", "th"], default="pr")
    parser.add_argument("--payload", choices=list(PAYLOADS), default="ints")
    parser.add_argument("--elements", type=int, default=2_000_000)
    parser.add_argument("--rate", type=int, default=2000, help="samples per second of each thread")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        pipeline(options.front, options.payload, options.elements)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "perf.data")
        record = ["perf", "record", "-q", "-F", str(options.rate), "--call-graph", "dwarf,4096", "-o", data]
        program = [sys.executable, *sys.argv, "--inside"]
        subprocess.run([*record, *program], check=True)
        steps: dict[str, Counter[str]] = defaultdict(Counter)
        for thread, frames in samples(data):
            step = step_of(frames)
            if step is not None:
                steps[thread][step] += 1
    per_sample = 1e9 / options.rate / options.elements
    for thread, counted in sorted(steps.items(), key=lambda item: -item[1].total()):
        if counted.total() < 20:
            continue
        print(f"\n{thread}: {counted.total() * per_sample:.0f} ns per element")
        for step, count in counted.most_common():
            print(f"  {step:15}{count * per_sample:6.1f}")


if __name__ == "__main__":
    main()
