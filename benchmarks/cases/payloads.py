"""P1-FLOATS and others like it: P1 with elements that are no ints, which a codec treats in other ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from contenders.chunked_pipe import chunked_pipe_map
from contenders.process_map import pool_map, pypeln_map
from harness.case import Case, Contender, Opener, Role, applying
from harness.measures import throughput

# Made once and given again and again: making an element may cost more than moving it.
DISTINCT = 1000


@dataclass(frozen=True)
class Reading:
    """An object of a class of the user's own, which only pickle can carry."""

    sensor: str
    value: float


@dataclass(frozen=True)
class Payload:
    """A kind of element.

    Args:
        title: how the report calls it.
        make: the element of a number.
        change: a new element from one, at little cost.
        chunk: elements of which four chunks fit a pipe of 64 KiB.
        items: elements of a full run, of contenders that are fast.
    """

    title: str
    make: Callable[[int], Any]
    change: Callable[[Any], Any]
    chunk: int
    items: int = 300_000

    def elements(self, items: int) -> Iterator[Any]:
        return islice(cycle([self.make(number) for number in range(min(items, DISTINCT))]), items)


def half(x: float) -> float:
    return x / 2


def exclaimed(text: str) -> str:
    return text + "!"


def without_first_byte(data: bytes) -> bytes:
    return data[1:]


def next_row(row: tuple[int, str, float]) -> tuple[int, str, float]:
    number, name, share = row
    return number + 1, name, share


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "name": "another"}


def moved(place: dict[str, Any]) -> dict[str, Any]:
    return {**place, "path": [*place["path"], (0.5, 0.5)]}


def corrected(reading: Reading) -> Reading:
    return replace(reading, value=reading.value + 0.5)


PAYLOADS = {
    "FLOATS": Payload("floats", lambda n: n / 7, half, chunk=1024),
    "STRINGS": Payload("strings of some words", lambda n: f"the element of number {n}", exclaimed, chunk=256),
    "BYTES": Payload("bytes, 1 KiB", lambda n: n.to_bytes(8, "little") * 128, without_first_byte, chunk=8),
    "TUPLES": Payload("tuples of int, str, float", lambda n: (n, f"row {n}", n / 7), next_row, chunk=256),
    "DICTS": Payload(
        "dicts of 3 fields", lambda n: {"id": n, "name": f"name {n}", "score": n / 7}, renamed, chunk=128
    ),
    "NESTED": Payload(
        "dicts with a list of tuples, a dict and a set",
        lambda n: {
            "id": n,
            "path": [(n / 3, n / 5), (n / 7, n / 9)],
            "size": {"width": n, "height": 2 * n},
            "tags": {"odd" if n % 2 else "even", "made"},
        },
        moved,
        chunk=64,
        items=100_000,
    ),
    "OBJECTS": Payload(
        "objects of a dataclass", lambda n: Reading(f"sensor {n}", n / 7), corrected, chunk=128
    ),
}


def payload_case(name: str, payload: Payload) -> Case:
    apply: Callable[..., Opener] = applying(payload.change, payload.elements)
    return Case(
        name=name,
        title=f"one process stage, {payload.title} there and back",
        unit="items/s",
        higher_is_better=True,
        workers=(1,),
        measure=throughput,
        expected=lambda n: map(payload.change, payload.elements(n)),
        key=repr,
        contenders=(
            Contender("pypeln", Role.PYPELN, payload.items, apply(pypeln_map)),
            Contender("pypeln 0.4.9", Role.OLD, 3_000, apply(pypeln_map)),
            Contender("Pool chunk 1", Role.PEER, 20_000, apply(pool_map, 1)),
            Contender("Pool chunk 64", Role.PEER, payload.items // 2, apply(pool_map, 64)),
            Contender("Pool chunk 1024", Role.PEER, payload.items, apply(pool_map, 1024)),
            Contender("mp.Pipe by hand", Role.CEILING, payload.items, apply(chunked_pipe_map, payload.chunk)),
        ),
    )


CASES = {f"P1-{kind}": payload_case(f"P1-{kind}", payload) for kind, payload in PAYLOADS.items()}
