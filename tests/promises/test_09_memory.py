"""Shared memory is reserved early and bounded; what does not fit is an error that says so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.notes import settled
from support.program import Program

from pypeln import io, pr, sync, th


def test_promise_09_no_memory_is_an_error_before_the_first_element(fork: None, tmp_path: Path) -> None:
    """Shared memory counts as a file: with a limit of nothing, its pages cannot be reserved."""
    text = """
        import resource, signal, os
        from pypeln import pr
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        before = os.listdir("/proc/self/fd")
        try:
            list(pr.map(abs, range(10), workers=2))
        except (MemoryError, OSError) as error:
            os.write(1, f"{type(error).__name__} {os.listdir('/proc/self/fd') == before}\\n".encode())
        """
    # A pipe, not a file, is where the limit lets it write to.
    with Program(tmp_path, text) as running:
        assert running.wait_for_line() in ("MemoryError True", "OSError True")
        assert running.end() == (0, "")


FRONT_ENDS = {"pr": pr, "th": th, "io": io, "sync": sync}


def same(x: Any) -> Any:
    return x


class Counted:
    """An endless source that knows how many elements were taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        for x in itertools.count():
            self.taken = x + 1
            yield x


def taken_when_all_wait(source: Counted) -> int:
    """How many were taken when everybody waits for room."""
    return settled(lambda: source.taken)  # type: ignore[no-any-return]


def most_taken(stages: int, maxsize: int) -> int:
    """What fits in all queues, one in the hand of each worker and of the source, and one that was taken."""
    return 1 + maxsize * (stages + 1) + stages + 1


@pytest.mark.parametrize("maxsize", [1, 2, 5])
@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_promise_09_maxsize_is_exact_across_chained_stages(kind: str, maxsize: int, fork: None) -> None:
    calls = FRONT_ENDS[kind]
    source = Counted()
    stage: Any = source
    for _ in range(3):
        stage = calls.map(same, stage, maxsize=maxsize)
    elements = stage.to_iterable(maxsize=maxsize)
    next(elements)
    assert maxsize * 4 <= taken_when_all_wait(source) <= most_taken(3, maxsize)
    elements.close()


@pytest.mark.parametrize("kind", ["pr", "th", "io"])
def test_promise_09_from_iterable_remembers_its_maxsize_behind_a_bar(kind: str, fork: None) -> None:
    calls = FRONT_ENDS[kind]
    source = Counted()
    elements = (source | calls.from_iterable(maxsize=3) | calls.map(same, maxsize=2)).to_iterable(maxsize=1)
    next(elements)
    assert taken_when_all_wait(source) <= most_taken(1, 3) + 3
    elements.close()
