"""The elements of a chaos run: numbered, and with a payload that follows from the number.

Whoever gets an element can tell which one it is, through which stages it went, and whether a byte of it has
changed on the way, without having seen another one.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any, NamedTuple

# How large payloads are, as (share, least, most) of bytes. A slot holds some hundred bytes; what is larger
# goes through the arena, and the largest ones exceed the smallest budget of a queue.
PROFILES: dict[str, list[tuple[float, int, int]]] = {
    "tiny": [(1.0, 0, 16)],
    "slot": [(0.6, 0, 64), (0.4, 64, 700)],
    "mixed": [(0.5, 0, 64), (0.3, 64, 4096), (0.19, 4096, 70_000), (0.01, 500_000, 1_500_000)],
    "large": [(0.3, 0, 4096), (0.6, 50_000, 300_000), (0.1, 1_000_000, 3_000_000)],
    "arrays": [(0.2, 8, 4096), (0.5, 4096, 70_000), (0.27, 70_000, 400_000), (0.03, 1_000_000, 3_000_000)],
}

# All payloads of this one are arrays, which are passed on and written to where they lie.
ARRAYS = "arrays"


class Key(NamedTuple):
    """Which element it is.

    Attributes:
        ident: Number of its source, its number there, and for each flat_map its position in the result.
        trace: Ids of the stages that have made it what it is.
    """

    ident: tuple[int, ...]
    trace: tuple[int, ...] = ()

    def through(self, stage: int) -> Key:
        """What a stage makes of it."""
        return Key(self.ident, (*self.trace, stage))

    def child(self, stage: int, position: int) -> Key:
        """One of the elements that a flat_map makes of it."""
        return Key((*self.ident, position), (*self.trace, stage))

    @property
    def element_index(self) -> tuple[int, ...]:
        """Its element_index."""
        return self.ident[1:]


class CorruptedError(Exception):
    """An element arrived with other contents than it was sent with."""


class Boxed:
    """An object that only pickle can carry."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Boxed) and other.data == self.data

    __hash__ = None  # type: ignore[assignment]


def draw(seed: int, *what: object) -> float:
    """A number in [0, 1) that follows from the arguments: random, but the same for everybody who asks."""
    digest = hashlib.blake2b(repr(what).encode(), digest_size=7, key=seed.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little") / (1 << 56)


def make(key: Key, profile: str) -> tuple[Any, ...]:
    """The element as it travels: plain values, because those take the shortest way."""
    return key.ident, key.trace, _payload(key, profile)


def changed(element: tuple[Any, ...], key: Key, profile: str, in_place: bool) -> tuple[Any, ...]:
    """The element as it travels when it has been made of another one, whose array goes on with it.

    In place: nobody else has that array, so it is written to where it lies, if it may be.
    """
    payload = element[2]
    if profile != ARRAYS or element[0] != key.ident:
        return make(key, profile)
    if not (in_place and payload.flags.writeable):
        payload = payload.copy()
    payload[0] = zlib.crc32(repr(key).encode())
    return key.ident, key.trace, payload


def opened(element: Any, profile: str) -> Key:
    """Which element it is.

    Raises:
        CorruptedError: It is not what was sent.
    """
    try:
        ident, trace, payload = element
        key = Key(ident, trace)
        intact = _is_equal(payload, _payload(key, profile))
    except Exception as error:
        raise CorruptedError(f"{type(error).__name__}: {error}: {repr(element)[:200]}") from error
    if not intact:
        raise CorruptedError(f"element {key}: {repr(payload)[:200]}")
    return key


def _array(key: Key) -> Any:
    """All of it follows from which element it is, but for a mark of the stages it went through."""
    import numpy

    number = zlib.crc32(repr(key.ident).encode())
    least, most = _bounds(ARRAYS, (number % 1000) / 1000)
    array = numpy.arange((least + (number >> 4) % (most - least + 1)) // 4, dtype=numpy.uint32)
    array += numpy.uint32(number)
    array[0] = zlib.crc32(repr(key).encode())
    return array


def _payload(key: Key, profile: str) -> Any:
    if profile == ARRAYS:
        return _array(key)
    number = zlib.crc32(repr(key).encode())
    least, most = _bounds(profile, (number % 1000) / 1000)
    nbytes = least + (number >> 4) % (most - least + 1)
    seed = number.to_bytes(4, "little") * 16
    data = (seed * (nbytes // len(seed) + 1))[:nbytes]
    kind = (number >> 10) % 8
    if kind == 0:
        return number
    if kind == 1:
        return data.hex()
    if kind in (2, 3):
        import numpy  # half of the time that a spawned worker needs to start

        if kind == 2:
            return numpy.frombuffer(data, numpy.uint8).copy()
        return numpy.full((nbytes // 16, 2), number, numpy.float64)
    if kind == 4:
        return Boxed(data)
    if kind == 5:
        return [number, {"data": data, "none": None}, 0.5]
    return data


def _bounds(profile: str, share: float) -> tuple[int, int]:
    for part, least, most in PROFILES[profile]:
        if share < part:
            return least, most
        share -= part
    return 0, 0


def _is_equal(got: Any, expected: Any) -> bool:
    if type(got) is not type(expected):
        return False
    if hasattr(expected, "dtype"):
        return bool(got.dtype == expected.dtype and got.shape == expected.shape and (got == expected).all())
    return bool(got == expected)
