"""Damages what processes read from each other, and looks whether reading it ends in anything but an error.

    python tests/fuzz/run.py --seconds 20 [--seed N]
    python tests/fuzz/run.py --target arena --seed 123 --once       one input again
    python tests/fuzz/run.py --target core --input crash-...        the same, of the C core

Four targets: payloads of elements; the segments of a queue (ring, slots, descriptors, arena, leases) under
the hands that use them; reports of workers, cut anywhere; and the C core alone, under sanitizers, beside
them (native.py; mutate.py shows what it notices). Each batch of inputs of the others runs in a process of its
own: a signal, a time-out or an unexpected exception there is a finding, told with the seed that repeats it.

Pickle streams are not damaged: whoever may write them may run code, as everywhere in Python. What is damaged
is everything around them.
"""

from __future__ import annotations

import argparse
import datetime
import faulthandler
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from native import Native

BATCH = {"payload": 20_000, "arena": 60, "report": 2_000}
BATCH_TIMEOUT_S = 60
# Nothing that is read may be believed to be longer than this.
QUEUE_BYTES = 4 << 20


def damaged(chance: random.Random, data: bytes) -> bytes:
    """The bytes with a few of them changed, left out, doubled, or the end cut off."""
    copy = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 5])):
        at = chance.randrange(len(copy) + 1)
        what = chance.randrange(6)
        if what == 0 and copy:
            copy[at % len(copy)] ^= 1 << chance.randrange(8)
        elif what == 1:
            copy[at:at] = chance.choice([b"\0", b"\xff", b"\x7f", b"\x80"]) * chance.choice([1, 4, 8])
        elif what == 2:
            del copy[at : at + chance.choice([1, 2, 8])]
        elif what == 3:
            del copy[at:]
        elif what == 4:
            word = chance.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, chance.randrange(2**64)])
            copy[at : at + 8] = struct.pack("<Q", word)
        else:
            copy[at:at] = copy[max(0, at - 8) : at]
    return bytes(copy)


class Damaged:
    """Whose objects are sent natively."""


class DamagedTuple(NamedTuple):
    """The same."""

    x: object
    y: object


def a_value(chance: random.Random, depth: int = 0) -> object:
    """A plain value: none of these is sent as a pickle."""
    import numpy as np

    leaves: list[Callable[[], object]] = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.randrange(-(2**70), 2**70),
        lambda: chance.randrange(-200, 200),
        lambda: chance.random(),
        lambda: "a\xe9\u20ac\U0001f600"[: chance.randrange(5)] * chance.choice([1, 20]),
        lambda: chance.randbytes(chance.choice([0, 3, 70, 3000])),
        lambda: an_array(chance),
        lambda: datetime.date.fromordinal(chance.randrange(1, 3_000_000)),
        lambda: datetime.datetime.fromtimestamp(chance.randrange(2**33), datetime.timezone.utc),
        lambda: datetime.time(
            chance.randrange(24), microsecond=chance.randrange(10**6), fold=chance.randrange(2)
        ),
        lambda: datetime.timedelta(chance.randrange(-(10**6), 10**6), microseconds=chance.randrange(10**6)),
        lambda: np.dtype(chance.choice("?bHiqefdD")).type(chance.randrange(2)),
        lambda: {chance.randrange(9) for _ in range(chance.randrange(4))},
        lambda: frozenset(str(chance.random()) for _ in range(chance.randrange(4))),
    ]
    if depth > 3 or chance.random() < 0.4:
        return chance.choice(leaves)()
    children = [a_value(chance, depth + 1) for _ in range(chance.randrange(5))]
    kind = chance.choice(["list", "tuple", "dict", "object", "named"])
    if kind == "named":
        return DamagedTuple(a_value(chance, depth + 1), children)
    if kind == "object":
        made = Damaged()
        vars(made).update({f"field{number}": child for number, child in enumerate(children)})
        return made
    if kind == "dict":
        return {str(number): child for number, child in enumerate(children)}
    return children if kind == "list" else tuple(children)


def an_array(chance: random.Random) -> object:
    """Of any order, with gaps or without, of a type that is written as a byte or as a pickle."""
    import numpy as np

    array = np.zeros(
        [chance.choice([1, 2, 5, 40]) for _ in range(chance.randrange(4))], chance.choice("?bdF")
    )
    if chance.random() < 0.2:
        array = array.astype([("a", "i4"), ("b", "f8")])
    array = chance.choice([lambda a: a, lambda a: a.T, lambda a: a[::2], lambda a: a[::-1]])(
        np.atleast_1d(array)
    )
    array.flags.writeable = chance.random() < 0.5
    return array


def fuzz_payload(seed: int) -> None:
    """A payload is decoded, or refused."""
    from pypeln._core.codec import CorruptElement, decode, encode

    chance = random.Random(seed)
    payload = damaged(chance, bytes(encode(a_value(chance))))
    if b"\x0c" in payload[:1] or b"\x80\x05" in payload:
        return  # names a pickle
    try:
        decode(payload)
    except (CorruptElement, MemoryError, UnicodeDecodeError, TypeError, ModuleNotFoundError, AttributeError):
        pass  # TypeError: a key that cannot be hashed; the last two: a class that is not there
    except Exception as error:
        if "pickle" not in type(error).__module__ + str(type(error)).lower() and not isinstance(
            error, EOFError
        ):
            raise


def fuzz_arena(seed: int) -> None:
    """Those who use a queue whose memory is damaged meanwhile raise, and stay within it."""
    import mmap

    from pypeln._core.arena import Arenas
    from pypeln._core.memory import CorruptMemory, Ledger, Segment
    from pypeln._core.queue import CLOSED, EMPTY
    from pypeln._core.shared import SharedIn, SharedOut, SharedRing

    chance = random.Random(seed)
    nbytes = SharedRing.nbytes_for(8, 2)
    control, arenas = Segment(nbytes + Ledger.nbytes(2)), Arenas()
    arena = arenas.create(QUEUE_BYTES)
    ring = SharedRing(control, 0, nbytes, arena, arenas)
    ring.create(8, 2)
    ledger = Ledger(2, control, nbytes // 64 * 64)
    put, get = SharedOut(ring, 1, 0), SharedIn(ring, 2, ledger, 1)
    header = mmap.mmap(control.fd, control.nbytes)
    words = mmap.mmap(arena.segment.fd, arena.segment.nbytes)
    usual = (CorruptMemory, ValueError, MemoryError, EOFError, OverflowError, TypeError, IndexError)
    for _ in range(40):
        memory, reach = chance.choice(
            [(header, nbytes), (header, len(header)), (words, 1 << 12), (words, 1 << 17)]
        )
        if chance.random() < 0.5:
            at = chance.randrange(0, min(reach, len(memory)) - 8, 8)
            word = chance.choice(
                [0, 1, 2**32, 2**63, 2**64 - 1, chance.randrange(2**64), chance.randrange(64)]
            )
            memory[at : at + 8] = struct.pack("<Q", word)
        if struct.unpack_from("<I", header, 24)[0] > 8:
            header[24:28] = struct.pack("<I", 7)  # only how many are woken, never where
        step = chance.randrange(7)
        try:
            if step < 2:
                put.put_nowait(chance.choice([1, b"x" * 100, b"y" * 5000, b"z" * 700_000]), (step,))
            elif step < 4:
                if get.take(0.0) in (CLOSED, EMPTY):
                    continue
            elif step == 4:
                ring.usage()
            elif step == 5:
                ledger.settle(1)
                ledger.counts(1)
                if ledger.has_element(1) and ledger.tries(1) < 5:
                    ledger.end_element(1, chance.randrange(5))
                get.resume()
            else:
                ring.settle(ledger, 1, 2)
                ring.mend(ledger, 1, 2)
        except usual:
            pass
        except BaseException as error:
            if type(error).__name__ not in ("RunAborted", "UnpicklingError"):
                raise


def fuzz_report(seed: int) -> None:
    """The reader of a worker's reports waits for the rest, or has a report."""
    from pypeln.errors import RemoteError
    from pypeln.run.reports import ReportReader, ReportWriter

    chance = random.Random(seed)
    reading, writing = os.pipe()
    reader = ReportReader(reading)
    try:
        writer = ReportWriter(writing)
        for number in range(chance.randrange(1, 4)):
            writer.failure(RemoteError("Name", "x" * chance.choice([1, 5000]), "trace"), (number,))
        whole = os.read(reading, 1 << 16)
        pieces = sorted(chance.randrange(len(whole)) for _ in range(5))
        # Its writer may die before the rest is out.
        last = len(whole) if chance.random() < 0.5 else pieces.pop()
        found = 0
        for start, end in zip([0, *pieces], [*pieces, last], strict=True):
            os.write(writing, whole[start:end])
            reports, ended = reader.read()
            found += len(reports)
            assert not ended
        assert found == (number + 1 if last == len(whole) else whole_records(whole[:last]))
    finally:
        os.close(writing)
    assert reader.read() == ([], True)
    os.close(reading)


def whole_records(data: bytes) -> int:
    """How many records are complete."""
    count = 0
    while len(data) >= 8 and len(data) >= 8 + struct.unpack_from("<Q", data)[0]:
        data = data[8 + struct.unpack_from("<Q", data)[0] :]
        count += 1
    return count


TARGETS = {"payload": fuzz_payload, "arena": fuzz_arena, "report": fuzz_report}


def run_batch(target: str, first: int) -> None:
    """In a process of its own: say which input is next, so that a crash can name it."""
    faulthandler.enable()
    for seed in range(first, first + BATCH[target]):
        os.pwrite(1, b"%020d" % seed, 0)
        TARGETS[target](seed)


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="how long to go on")
    parser.add_argument("--seed", type=int, default=None, help="the first input")
    parser.add_argument("--target", choices=[*TARGETS, "core"], help="only this one")
    parser.add_argument("--input", type=Path, help="a finding of the C core, again")
    parser.add_argument("--once", action="store_true", help="only this input, in this process")
    parser.add_argument("--batch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    seed = time.time_ns() % 1_000_000_000 if options.seed is None else options.seed
    if options.once:
        TARGETS[options.target or "payload"](seed)
        return 0
    if options.batch:
        run_batch(options.target, seed)
        return 0
    if options.input is not None:
        with tempfile.TemporaryDirectory() as folder:
            return Native(Path(folder)).repeat(options.input)
    print(f"seed {seed}", flush=True)
    with ThreadPoolExecutor() as beside:
        core = beside.submit(fuzz_core, options.seconds, seed) if options.target in (None, "core") else None
        targets = [each for each in TARGETS if options.target in (None, each)]
        done, findings = fuzz_batches(targets, options.seconds, seed)
        if core is not None:
            done["core"], passed = core.result()
            findings += not passed
    counts = ", ".join(f"{target} {count}" for target, count in done.items())
    print(f"inputs: {counts}; findings: {findings}")
    return 1 if findings else 0


def fuzz_batches(targets: list[str], seconds: float, seed: int) -> tuple[dict[str, int], int]:
    """All targets in turn, each of them once at least: how many inputs of each, and how many findings."""
    done = dict.fromkeys(targets, 0)
    findings = 0
    over_at = time.monotonic() + seconds
    while targets and (time.monotonic() < over_at or not all(done.values())):
        target = min(targets, key=lambda each: done[each] / BATCH[each])
        findings += not batch_passes(target, seed + done[target])
        done[target] += BATCH[target]
    return done, findings


def fuzz_core(seconds: float, seed: int) -> tuple[int, bool]:
    """The C core: how many inputs, and whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        count, report = Native(Path(folder)).run(max(1, round(seconds)), seed)
    if report:
        print(f"FOUND (core):\n{report[-6000:]}", flush=True)
    return count, not report


def batch_passes(target: str, first: int) -> bool:
    """Run a batch in a process; tell of it when it ends badly."""
    with tempfile.TemporaryFile() as where:
        command = [sys.executable, __file__, "--batch", "--target", target, "--seed", str(first)]
        try:
            ran = subprocess.run(
                command, stdout=where, stderr=subprocess.PIPE, text=True, timeout=BATCH_TIMEOUT_S
            )
            code, said = ran.returncode, ran.stderr
        except subprocess.TimeoutExpired:
            code, said = -1, f"not done after {BATCH_TIMEOUT_S} s"
        where.seek(0)
        reached = where.read().decode() or str(first)
    if code == 0:
        return True
    print(f"FOUND ({target}): python tests/fuzz/run.py --target {target} --seed {int(reached)} --once")
    print("\n".join(said.splitlines()[-30:]), flush=True)
    return False


if __name__ == "__main__":
    sys.exit(main())
