"""The functions and sources of chaos runs, and what they do to each element.

Everything follows from the scenario's seed, the stage and the element, so that `fates` can tell what should
come out without running anything. Importable, because a spawned worker imports them.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import elements
from elements import Key, draw
from shapes import Node

# "For ever": until the time-out. In naps, because a thread is interrupted where it runs Python.
FOREVER_S = 60.0
NAP_S = 0.002

# Sent by the monitor to whoever hangs.
STACKS_SIGNAL = signal.SIGUSR1
faulthandler.register(STACKS_SIGNAL, all_threads=True)


class ChaosError(Exception):
    """What a function raises on purpose.

    Attributes:
        name: The name of the stage's function.
        key: The element.
    """

    def __init__(self, name: str, key: Key) -> None:
        super().__init__(name, key)
        self.name = name
        self.key = key


def fault_at(seed: int, node: Node, key: Key) -> str | None:
    """What a function does at an element instead of its work: fails, late, exits, or None."""
    if not (node.fails or node.late or node.exits):
        return None
    if is_replaced(key):
        return None  # one mishap for each element is enough
    share = draw(seed, "fault", node.id, key)
    for fault in ("fails", "late", "exits"):
        part = getattr(node, fault)
        if share < part:
            return fault
        share -= part
    return None


def results_of(seed: int, node: Node, key: Key) -> list[Key]:
    """What a stage sends on for an element."""
    if node.operator == "map":
        return [key.through(node.id)]
    if node.operator == "flat_map":
        children = (0, 1, 1, 2, 3, 9)[int(draw(seed, "children", node.id, key) * 6)]
        return [key.child(node.id, position) for position in range(children)]
    if node.operator == "filter":
        return [key] if passes(seed, node, key) else []
    return []


def passes(seed: int, node: Node, key: Key) -> bool:
    """Whether a filter lets an element through."""
    return draw(seed, "filter", node.id, key) < 0.7


def replacement_of(node: Node, key: Key) -> list[Key]:
    """What is sent on where `on_error` is a function."""
    if node.operator == "map":
        return [_replaced(key).through(node.id)]
    if node.operator == "flat_map":
        return [_replaced(key).child(node.id, 0)]
    return [key] if node.operator == "filter" else []


def collected(operator: str, stage: int, key: Key) -> Key:
    """How the `Failure` of an element is written down."""
    failure = Key(key.ident, (*key.trace, -2 - stage))
    return Key((*failure.ident, 0), failure.trace) if operator == "flat_map" else failure


def is_replaced(key: Key) -> bool:
    """Whether something has gone wrong with it before."""
    return any(stage < 0 for stage in key.trace)


def _replaced(key: Key) -> Key:
    return Key(key.ident, (*key.trace, -1))


class Place:
    """What a function needs to know.

    Arguments:
        seed: The scenario's.
        profile: The payloads'.
        node: Its stage.
        folder: Where it counts how often it has seen an element, and an `each` notes what it got.
    """

    def __init__(self, seed: int, profile: str, node: Node, folder: str) -> None:
        self.seed = seed
        self.profile = profile
        self.node = node
        self.folder = folder

    def key_of(self, element: Any) -> Key:
        """Which element it is; for a Failure, the one that failed."""
        if hasattr(element, "item"):
            key = self.key_of(element.item)
            place = re.fullmatch(r"\w+\(([a-z_]+)(\d+)\)", element.stage)
            assert place is not None, element
            operator, stage = place.groups()
            if element.index != key.element_index:
                raise elements.CorruptedError(f"{element!r} has the index of another element")
            return collected(operator, int(stage), key)
        return elements.opened(element, self.profile)

    def element(self, key: Key) -> Any:
        """The element as it travels."""
        return elements.make(key, self.profile)

    def fault(self, key: Key) -> str | None:
        """What is to happen at an element, this time."""
        fault = fault_at(self.seed, self.node, key)
        if fault is not None and self.node.times and self._attempt(key) >= self.node.times:
            return None
        return fault

    def nap_s(self, key: Key) -> float:
        """How long the function sleeps at an element."""
        share, seconds = self.node.naps
        return seconds if share and draw(self.seed, "nap", self.node.id, key) < share else 0.0

    def note(self, key: Key) -> None:
        """An `each` has got it."""
        line = repr((key.ident, key.trace)) + "\n"
        # A file object, not a descriptor: Ctrl-C between two statements would leave that one open.
        with open(self._path("got"), "ab", buffering=0) as file:
            file.write(line.encode())  # at once: lines of several writers do not mix

    def _attempt(self, key: Key) -> int:
        """How often this was asked for an element before."""
        number = 0
        name = "-".join(map(str, [*key.ident, "", *key.trace]))
        while True:
            try:
                with open(self._path(f"{name}.{number}"), "x"):
                    return number
            except FileExistsError:
                number += 1

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, f"{self.node.id}-{name}")


class Step:
    """The function of a stage."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.__name__ = place.node.name

    def __call__(self, element: Any) -> Any:
        place = self.place
        key = place.key_of(element)
        fault = place.fault(key)
        if fault is not None:
            misbehave(place.node, key, fault)
        nap_s = place.nap_s(key)
        operator = place.node.operator
        if nap_s and not (operator == "flat_map" and place.node.lazy):
            time.sleep(nap_s)
        if operator == "flat_map" and place.node.lazy:
            return self._children(key, nap_s)
        return result(place, key, element)

    def _children(self, key: Key, nap_s: float) -> Iterator[Any]:
        for child in results_of(self.place.seed, self.place.node, key):
            if nap_s:
                time.sleep(nap_s / 2)
            yield self.place.element(child)


class AsyncStep:
    """The function of a stage of tasks."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.__name__ = place.node.name

    async def __call__(self, element: Any) -> Any:
        place = self.place
        key = place.key_of(element)
        fault = place.fault(key)
        if fault == "late":
            await asyncio.sleep(FOREVER_S)
        elif fault is not None:
            misbehave(place.node, key, fault)
        await asyncio.sleep(place.nap_s(key))
        return result(place, key, element)


class AsyncChildren:
    """The function of a flat_map of tasks, as an async generator."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.__name__ = place.node.name

    async def __call__(self, element: Any) -> Any:
        place = self.place
        key = place.key_of(element)
        fault = place.fault(key)
        if fault == "late":
            await asyncio.sleep(FOREVER_S)
        elif fault is not None:
            misbehave(place.node, key, fault)
        for child in results_of(place.seed, place.node, key):
            await asyncio.sleep(place.nap_s(key))
            yield place.element(child)


class Replace:
    """An `on_error` that is a function."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def __call__(self, error: BaseException, element: Any) -> Any:
        place = self.place
        keys = replacement_of(place.node, place.key_of(element))
        if place.node.operator == "filter":
            return bool(keys)
        made = [place.element(key) for key in keys]
        return made if place.node.operator == "flat_map" else (made or [None])[0]


def result(place: Place, key: Key, element: Any) -> Any:
    """What the function of a stage returns for an element."""
    keys = results_of(place.seed, place.node, key)
    if place.node.operator == "map":
        if hasattr(element, "item"):
            return place.element(keys[0])  # a Failure
        # What a process gets is its own; threads share what goes to several of them.
        return elements.changed(element, keys[0], place.profile, in_place=place.node.kind == "pr")
    if place.node.operator == "flat_map":
        return [place.element(each) for each in keys]
    if place.node.operator == "filter":
        return bool(keys)
    place.note(key)
    return None


def misbehave(node: Node, key: Key, fault: str) -> None:
    """Do what a stage does at an element instead of its work."""
    if fault == "fails":
        raise ChaosError(node.name, key)
    if fault == "late":
        over_at = time.monotonic() + FOREVER_S
        while time.monotonic() < over_at:
            time.sleep(NAP_S)
    elif node.ending == "exit":
        os._exit(3)
    elif node.ending == "sys_exit":
        sys.exit(4)
    elif node.ending == "sys_exit_0":
        sys.exit()
    elif node.ending == "segfault":
        ctypes.string_at(0)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


EXIT_CODES = {"exit": 3, "sys_exit": 4, "sys_exit_0": 0, "segfault": -signal.SIGSEGV, "kill": -signal.SIGKILL}


class Source:
    """What a pipeline drinks."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def _numbers(self) -> Iterator[Key]:
        node = self.place.node
        number = 0
        while node.count is None or number < node.count:
            key = Key((node.id, number))
            if number == node.raises_at:
                raise ChaosError(node.name, key)
            yield key
            number += 1
        if number == node.raises_at:
            raise ChaosError(node.name, Key((node.id, number)))

    def __iter__(self) -> Iterator[Any]:
        for key in self._numbers():
            nap_s = self.place.nap_s(key)
            if nap_s:
                time.sleep(nap_s)
            yield self.place.element(key)


class AsyncSource(Source):
    """The same for a loop."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        for key in self._numbers():
            await asyncio.sleep(self.place.nap_s(key))
            yield self.place.element(key)

    __iter__ = None  # type: ignore[assignment]


class OnStart:
    """Takes a moment, so that workers are killed in it too."""

    def __call__(self) -> dict[str, int]:
        time.sleep(0.002)
        return {}


class OnDone:
    """The same at the end."""

    def __call__(self) -> None:
        time.sleep(0.002)
