"""What type checkers make of pipelines. Never executed: `test_typing` has it checked.

A line that ends in a `type: ignore` is an error that the checker must find.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Any

from typing_extensions import assert_type

import pypeln as pl
from pypeln import io, pr, sync, th


def size(x: str) -> int:
    return len(x)


def text(x: int) -> str:
    return str(x)


def text_of_worker(x: int, worker_info: pr.WorkerInfo) -> str:
    return str(x + worker_info.index)


def text_by_keyword(x: int, *, element_index: tuple[int, ...]) -> str:
    return str(x)


def is_odd(x: int) -> bool:
    return x % 2 == 1


def pair(x: int) -> tuple[str, str]:
    return str(x), str(x)


def size_of(x: int) -> int:
    return x.bit_length()


def number(x: str) -> int:
    return int(x)


def kept(x: int, element_index: tuple[int, ...]) -> bool:
    return x > element_index[0]


def pair_of_worker(x: int, worker_info: pr.WorkerInfo) -> tuple[str, str]:
    return str(x), str(worker_info.index)


class Counter:
    def __init__(self, name: str) -> None:
        self.name = name

    def add(self, x: int) -> int:
        return x


WORKER = pr.WorkerInfo(0)


async def fetch(x: int) -> bytes:
    return bytes(x)


async def fetch_lines(x: int) -> list[bytes]:
    return [bytes(x)]


async def stream(x: int) -> AsyncIterator[bytes]:
    yield bytes(x)


assert_type(pr.map(text, [1]), pl.Stage[str])
assert_type(pr.map(text_of_worker, [1], workers=2), pl.Stage[str])
assert_type(pr.map(text_by_keyword, [1]), pl.Stage[str])
assert_type(th.map(len, ["a"]), pl.Stage[int])
assert_type(th.map(str.upper, ["a"]), pl.Stage[str])
assert_type(th.filter(is_odd, [1]), pl.Stage[int])
assert_type(th.flat_map(pair, [1]), pl.Stage[str])
assert_type(th.each(text, [1], run=True), None)
assert_type(sync.concat([th.map(text, [1]), th.map(text, [2])]), pl.Stage[str])
assert_type(sync.ordered(th.map(text, [1])), pl.Stage[str])
assert_type(sync.distinct(th.map(text, [1]), key=size), pl.Stage[str])
assert_type(pr.from_iterable([1], use_thread=False), pl.Stage[int])

assert_type(range(3) | pr.map(text), pl.Stage[str])
assert_type(range(3) | pr.map(text) | th.map(size) | th.filter(is_odd) | list, list[int])
assert_type(range(3) | th.map(text) | th.ordered() | th.map(size), pl.Stage[int])
assert_type([1] | th.from_iterable(maxsize=1) | th.map(text), pl.Stage[str])
assert_type(pr.map(text) | th.map(size), pl.Partial[Iterable[int], pl.Stage[int]])
assert_type(th.map(text)([1]), pl.Stage[str])

assert_type(range(3) | io.map(fetch, workers=0), pl.IoStage[bytes])
assert_type(range(3) | io.map(text), pl.IoStage[str])
assert_type(range(3) | io.flat_map(stream), pl.IoStage[bytes])
assert_type(range(3) | io.flat_map(fetch_lines), pl.IoStage[bytes])
assert_type(range(3) | io.flat_map(pair), pl.IoStage[str])
assert_type(stream(3) | io.from_iterable() | io.ordered(), pl.IoStage[bytes])
assert_type(stream(3) | io.from_iterable() | io.distinct(), pl.IoStage[bytes])
assert_type(range(3) | pr.map(text) | io.filter(str.isdigit), pl.IoStage[str])

assert_type(iter(th.map(text, [1])), Iterator[str])
assert_type(th.to_iterable(th.map(text, [1]), maxsize=3), Iterator[str])
assert_type(next(th.to_iterable(th.map(text, [1]), return_index=True)).index, tuple[int, ...])


async def awaited() -> None:
    assert_type(await io.map(fetch, [1]), list[bytes])
    async for value in io.to_async_iterable(io.map(fetch, [1]), maxsize=2):
        assert_type(value, bytes)
    async for value in io.map(fetch, [1]):
        assert_type(value, bytes)


# Of batches, groups of them and what is in them.
assert_type(th.batch(2, [1]), pl.Stage[list[int]])
assert_type(range(3) | th.batch(2), pl.Stage[list[int]])
assert_type(range(3) | pr.map(text) | pr.batch(2, drop_last=True) | list, list[list[str]])
assert_type(range(3) | io.batch(2), pl.IoStage[list[int]])
assert_type(th.batch(2, [1], stack=True), pl.Stage[Any])
assert_type(th.unbatch([[1]]), pl.Stage[int])
assert_type([[1]] | th.unbatch(), pl.Stage[int])
assert_type(range(3) | th.map(text) | th.batch(2) | th.unbatch(), pl.Stage[str])
assert_type([["a"]] | io.unbatch(), pl.IoStage[str])

# What f asks for by name is not an element, wherever it stands.
assert_type(range(3) | pr.map(text_of_worker) | th.map(size), pl.Stage[int])
assert_type(range(3) | io.map(text_by_keyword), pl.IoStage[str])
assert_type(range(3) | th.filter(kept), pl.Stage[int])
assert_type(range(3) | th.flat_map(pair_of_worker) | list, list[str])
assert_type(th.each(text_of_worker, [1], run=True), None)
assert_type(pr.map(partial(text_of_worker, worker_info=WORKER), [1]), pl.Stage[str])
assert_type(th.map(Counter("a").add, [1]), pl.Stage[int])

# Kinds mix, and what collects at the end is typed as well.
assert_type(
    ["1"] | io.map(number) | pr.filter(is_odd) | th.map(text) | sync.map(size) | io.map(text), pl.IoStage[str]
)
assert_type(sync.concat([pr.map(text, [1]), th.map(text, [2])]), pl.Stage[str])
assert_type(io.concat([pr.map(text, [1]), io.map(text, [1])]), pl.IoStage[str])
assert_type(range(3) | th.map(text) | tuple, tuple[str, ...])
assert_type(range(3) | th.map(text) | set, set[str])
assert_type(range(3) | th.map(text) | sorted, list[str])
assert_type(range(3) | th.map(size_of) | sum, int)
assert_type(range(3) | th.map(text) | "".join, str)
assert_type(th.map(text) | th.map(size) | list, pl.Partial[Iterable[int], list[int]])
assert_type(th.map(text) | th.map(size) | sum, pl.Partial[Iterable[int], int])
assert_type(range(3) | th.each(text, run=True), None)


def refused(stage: pl.Stage[str], anything: Any) -> None:
    ["a"] | th.map(text)  # type: ignore[operator]
    stage | th.map(text)  # type: ignore[operator]
    th.map(text, 5)  # type: ignore[call-overload]
    th.map(text, [1], workers="3")  # type: ignore[call-overload]
    th.map(text, [1], chunksize=3)  # type: ignore[call-overload]
    stage.workers.anything  # type: ignore[attr-defined]  # noqa: B018
