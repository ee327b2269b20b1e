"""A start that fails leaves nothing behind, whatever it was that the system refused."""

from __future__ import annotations

import multiprocessing
import os
import resource
import threading
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from support.process_table import children, open_fds, shared_mappings, thread_names
from support.program import Program

from pypeln import io, pr, th
from pypeln.run.run import _live


def same(x: Any) -> Any:
    return x


async def same_async(x: Any) -> Any:
    return x


def mixed() -> Any:
    """With everything that a run may need: processes, threads, a loop, bells, a supervisor with time-outs."""
    stage = th.map(same, range(20), workers=2, maxsize=2, timeout=60)
    stage = pr.map(same, stage, workers=2, maxsize=2, timeout=60)
    stage = io.map(same_async, stage, workers=2, maxsize=2, timeout=60)
    return pr.ordered(pr.map(same, stage, workers=2, maxsize=2), maxsize=2)


class Baseline:
    """What there is before, to be there again after."""

    def __init__(self) -> None:
        self.fds = open_fds()
        self.threads = thread_names()
        self.mappings = len(shared_mappings())

    def assert_is_restored(self, what: str) -> None:
        assert children() == set(), what
        assert thread_names() == self.threads, what
        assert open_fds() == self.fds, what
        assert len(shared_mappings()) == self.mappings, what


@pytest.mark.parametrize("start_method", ["fork", "forkserver"], indirect=True)
def test_promise_12_descriptors_run_out_at_every_point(start_method: str) -> None:
    """One more descriptor is allowed each time, until there are enough. The fork server outlives them all."""
    stage = mixed()
    assert list(stage) == list(range(20))
    server = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = 0
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    while fillers[-1] <= max(open_fds()) - 1:  # the limit is one on numbers: no lower one may be free
        fillers.append(os.open(os.devnull, os.O_RDONLY))
    for allowed in range(200):
        baseline = Baseline()
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(baseline.fds) + 1 + allowed, hard))
        try:
            got: Any = list(stage)
        except (OSError, MemoryError) as error:
            got = type(error)
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        baseline.assert_is_restored(f"{allowed} descriptors more: {got}")
        if got == list(range(20)):
            break
    for fd in fillers:
        os.close(fd)
    assert got == list(range(20))
    assert refused > 10
    assert forkserver._forkserver._forkserver_pid == server  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "refusal",
    [
        BlockingIOError(11, "Resource temporarily unavailable"),
        RuntimeError("can't fork at interpreter shutdown"),
    ],
    ids=lambda refusal: type(refusal).__name__,
)
def test_promise_12_forks_are_refused_at_every_point(
    refusal: Exception, fork: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = mixed()
    original = os.fork
    for allowed in range(4):  # two stages of two workers
        left = iter(range(allowed))

        def refuse(left: Any = left) -> int:
            if next(left, None) is None:
                raise type(refusal)(*refusal.args)
            return original()

        baseline = Baseline()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fork", refuse)
            with pytest.raises(type(refusal)):
                list(stage)
        baseline.assert_is_restored(f"{allowed} forks")
    assert list(stage) == list(range(20))


def test_promise_12_a_run_may_be_closed_while_it_starts(fork: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the end of the program does with one of a thread that is a daemon."""
    stage = mixed()
    original = os.fork
    for allowed in range(4):  # two stages of two workers
        left = iter(range(allowed))
        closing: list[threading.Thread] = []

        def close_meanwhile(left: Any = left, closing: Any = closing) -> int:
            if next(left, None) is None and not closing:
                (run,) = _live
                closing.append(threading.Thread(target=run.close))
                closing[0].start()
                closing[0].join(
                    0.1
                )  # it waits for the start; and were it not to, it would have closed the run
            return original()

        baseline = Baseline()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fork", close_meanwhile)
            with pytest.raises(RuntimeError, match="the pipeline was closed"):
                list(stage)
        closing[0].join()
        baseline.assert_is_restored(f"closed after {allowed} forks")
    assert list(stage) == list(range(20))


def test_promise_12_threads_are_refused_at_every_point(fork: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = mixed()
    original = threading.Thread.start
    for allowed in range(5):  # the supervisor, the event loop, the source, two workers
        left = iter(range(allowed))

        def refuse(thread: threading.Thread, left: Any = left) -> None:
            if next(left, None) is None:
                raise RuntimeError("can't start new thread")
            original(thread)

        baseline = Baseline()
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                list(stage)
        baseline.assert_is_restored(f"{allowed} threads")
    assert list(stage) == list(range(20))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user whose processes are counted afresh")
def test_promise_12_the_limit_of_processes_is_reached(tmp_path: Path) -> None:
    text = """
        import multiprocessing, os, resource, threading
        from pypeln import pr
        multiprocessing.set_start_method("fork")
        list(pr.map(abs, range(10)))
        user = 54321
        os.setresuid(user, user, user)
        resource.setrlimit(resource.RLIMIT_NPROC, (4, 4))
        before = len(os.listdir("/proc/self/fd"))
        try:
            list(pr.map(abs, range(10), workers=8))
        except BlockingIOError:
            words = ["BlockingIOError"]
        after = len(os.listdir("/proc/self/fd"))
        words += [multiprocessing.active_children(), threading.active_count(), after - before]
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())
        list(pr.map(abs, range(10)))
        """
    with Program(tmp_path, text) as running:
        assert running.wait_for_line() == "BlockingIOError [] 1 0"
        assert running.end() == (0, "")


def test_promise_12_a_function_that_cannot_be_pickled_is_refused(start_method: str) -> None:
    """The first worker could have been started; the second one's function cannot be sent."""
    if start_method == "fork":
        pytest.skip("a fork sends nothing")
    lock = threading.Lock()

    def f(x: int) -> Any:
        return lock

    list(pr.map(same, range(3)))  # starts what multiprocessing keeps
    baseline = Baseline()
    with pytest.raises(TypeError, match="lock"):
        list(pr.map(f, pr.map(same, range(10), workers=2), workers=2))
    baseline.assert_is_restored("unpicklable function")


def test_promise_12_a_main_module_that_starts_pipelines_when_it_is_imported(tmp_path: Path) -> None:
    """The well-known mistake under spawn ends with what multiprocessing says of it, not with a fork bomb."""
    text = """
        import multiprocessing
        from pypeln import pr
        multiprocessing.set_start_method("spawn", force=True)
        print(list(pr.map(abs, range(3))))
        """
    with Program(tmp_path, text) as running:
        code, output = running.end()
    assert code != 0
    assert output == ""
    assert "__main__" in running.stderr


def test_promise_12_what_is_not_started_costs_nothing() -> None:
    baseline = Baseline()
    for _ in range(100):
        iter(mixed())
    baseline.assert_is_restored("iterators that were never asked")
    assert multiprocessing.active_children() == []
