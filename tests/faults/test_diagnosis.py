"""PYPELN_DEBUG: a pipeline that does not move says who waits for whom, and where everybody is."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.notes import Gate, wait_until
from support.process_table import state
from support.program import Program

import pypeln as pl
from pypeln.run.diagnosis import read_settings
from pypeln.run.process_stacks import Frame, parse

END = "===== end of the report =====\n"

# Every program prints a line once it is in the state that the report is to tell of, and stays there.
HEAD = """
import asyncio, collections, itertools, multiprocessing, os, signal, sys, threading, time
import pypeln as pl
from pypeln import io, pr, sync, th

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def same(x):
    return x

def asleep(x):
    say("in f", os.getpid())
    time.sleep(1000)

async def asleep_async(x):
    say("in f", os.getpid())
    await asyncio.sleep(1000)

held = threading.Lock()
held.acquire()

def locked(x):
    say("in f", os.getpid())
    with held:
        return x

def keeps_the_gil(x):
    say("in f", os.getpid())
    collections.deque(itertools.repeat(0), maxlen=0)

def never_starts():
    say("in on_start")
    time.sleep(1000)

def never_ends():
    say("in on_done")
    time.sleep(1000)

def take_one_and_stop(stage):
    elements = iter(stage)
    next(elements)
    say("stopped taking")
    time.sleep(1000)

async def take_one_and_stop_async(stage):
    async for element in stage:
        say("stopped taking")
        await asyncio.sleep(1000)

def main():
    multiprocessing.set_start_method({method!r})
    {body}

if __name__ == "__main__":
    main()
"""


def program(folder: Path, body: str, method: str = "fork") -> Program:
    return Program(folder, HEAD.format(body=body, method=method))


def report_with(running: Program, *texts: str) -> str:
    """The first whole report that has all of these texts. On a busy machine others come before it."""
    found: list[str] = []

    def look() -> bool:
        reports = running.stderr.split(END)[:-1]
        found[:] = [each for each in reports if all(text in each for text in texts)]
        return bool(found)

    try:
        wait_until(look, f"a report tells of {texts}")
    except AssertionError as error:
        raise AssertionError(f"{error}; there was:\n{running.stderr}") from None
    return found[0]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports come after a fifth of a second."""
    monkeypatch.setenv("PYPELN_DEBUG", "0.2")


def test_a_process_that_is_stuck_is_named_with_its_element_and_its_stack(
    start_method: str, tmp_path: Path
) -> None:
    with program(tmp_path, "list(pr.map(asleep, range(10), workers=2))", start_method) as running:
        pids = {running.wait_for_line().split()[-1] for _ in range(2)}
        report = report_with(running, *(f"(process {pid}): in f for " for pid in pids), "in asleep\n")
        assert "the consumer waits for an element from map(asleep)" in report
        assert "with element (0,)" in report and "with element (1,)" in report
        assert "from_iterable(range) -> map(asleep): 8 of 8192 elements" in report
        assert "2 at the same place: process " in report
        assert "in asleep\n      time.sleep(1000)\n" in report
        assert "(the consumer):" in report and "in main\n      list(pr.map(asleep" in report


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("list(th.map(asleep, range(3)))", ["worker 0: in f for ", "in asleep\n      time.sleep"]),
        ("list(th.map(locked, range(3)))", ["worker 0: in f for ", "in locked\n      with held:"]),
        ("list(pr.map(locked, range(3)))", [": in f for ", "in locked\n      with held:"]),
        (
            "list(pr.map(keeps_the_gil, range(3)))",
            [": in f for ", "in keeps_the_gil\n      collections.deque"],
        ),
        ("list(io.map(asleep_async, range(3)))", ["1 elements in f, none", "in asleep_async\n      await"]),
        ("list(io.map(asleep, range(3)))", ["the event loop does not answer", "in asleep\n      time.sleep"]),
        ("list(th.map(same, map(asleep, [1])))", ["its source has not given an element for ", "in asleep\n"]),
        ("list(pr.map(same, map(asleep, [1])))", ["its source has not given an element for ", "in asleep\n"]),
        (
            "list(pr.map(same, [1], on_start=never_starts))",
            [": on_start has not returned for ", "in never_starts"],
        ),
        ("list(th.map(same, [1], on_done=never_ends))", ["but on_done has not returned", "in never_ends"]),
        (
            "list(sync.map(asleep, th.map(same, [1, 2])))",
            ["consumer is at work inside the pipeline", "in asleep"],
        ),
        (
            "list(pr.ordered(th.map(asleep, [1])))",
            ["map(asleep), worker 0: in f for", "waits for an element"],
        ),
        ("list(pr.map(lambda x: list(th.map(asleep, [x])), [1]))", ["consumer waits for", "in asleep\n"]),
    ],
)
def test_the_cause_is_told_with_the_line_it_is_in(body: str, expected: list[str], tmp_path: Path) -> None:
    with program(tmp_path, body) as running:
        running.wait_for_line()
        report = report_with(running, *expected)
        assert "a bug of pypeln" not in report


@pytest.mark.parametrize(
    "body",
    [
        "take_one_and_stop(pr.map(same, th.map(same, itertools.count(), maxsize=3), maxsize=2))",
        "take_one_and_stop(th.map(same, itertools.count(), maxsize=2))",
        "asyncio.run(take_one_and_stop_async(io.map(same, itertools.count(), maxsize=2)))",
        "asyncio.run(take_one_and_stop_async(io.map(same, pr.map(same, itertools.count()), maxsize=2)))",
    ],
)
def test_a_consumer_that_does_not_take_is_no_hang_of_the_pipeline(body: str, tmp_path: Path) -> None:
    with program(tmp_path, body) as running:
        assert running.wait_for_line() == "stopped taking"
        report = report_with(
            running,
            "the consumer has not asked for an element for ",
            "waits for room in the queue to the consumer, which is full",
        )
        assert "a bug of pypeln" not in report


def test_a_stopped_process_cannot_tell_where_it_is_and_the_report_says_so(tmp_path: Path) -> None:
    with program(tmp_path, "list(pr.map(asleep, range(3)))") as running:
        pid = int(running.wait_for_line().split()[-1])
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid) == "T", "the worker is stopped")
        report_with(
            running,
            "cannot write its stacks: it is stopped (SIGSTOP)",
            f"worker 0 (process {pid}): its process is stopped (SIGSTOP); in f for ",
        )
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: "in asleep\n      time.sleep(1000)" in running.stderr, "it goes on, and tells")


def test_a_thread_that_keeps_the_gil_is_told_by_faulthandler(tmp_path: Path) -> None:
    with program(tmp_path, "list(th.map(keeps_the_gil, range(3)))") as running:
        running.wait_for_line()
        wait_until(lambda: "in keeps_the_gil" in running.stderr, "the stacks are written")
        assert "Timeout (" in running.stderr


def test_many_tasks_at_one_place_are_one_stack(tmp_path: Path) -> None:
    with program(tmp_path, "list(io.map(asleep_async, range(1000), workers=500))") as running:
        for _ in range(500):
            running.wait_for_line()
        report = report_with(running, "500 at the same place: ")
        assert report.count("in asleep_async\n") == 1


def test_a_signal_asks_for_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_DEBUG", "SIGUSR1")
    with program(tmp_path, "list(pr.map(asleep, range(3), workers=2))") as running:
        for _ in range(2):
            running.wait_for_line()
        assert running.stderr == ""
        running.signal(signal.SIGUSR1)
        report_with(running, "SIGUSR1 asks for a report", "2 at the same place: process ", "in asleep\n")
        os.killpg(running.process.pid, signal.SIGUSR1)  # reaches the workers too
        wait_until(lambda: running.stderr.count(END) == 2, "another one is written")
        running.press_ctrl_c()
        code, _ = running.end()
        assert code == -signal.SIGINT


def test_reports_come_more_and_more_rarely(tmp_path: Path) -> None:
    with program(tmp_path, "list(th.map(asleep, range(3)))") as running:
        running.wait_for_line()
        wait_until(lambda: running.stderr.count(END) == 3, "three reports are written")
        told = [line for line in running.stderr.splitlines() if "no element has moved for" in line]
        times = [float(line.split(" s ")[0].split()[-1]) for line in told]
        assert times[1] >= 2 * 0.2 and times[2] >= 4 * 0.2


def reports(capfd: pytest.CaptureFixture[str]) -> Iterator[str]:
    """All that was written to stderr, again and again."""
    text = ""
    while True:
        text += capfd.readouterr().err
        yield text


def opened_after_a_report(
    gate: Gate, capfd: pytest.CaptureFixture[str], what: str
) -> tuple[threading.Thread, list[str]]:
    """A thread that opens the gate when a report told of something, and where it leaves what it has read."""
    read: list[str] = []

    def watch() -> None:
        for text in reports(capfd):
            if what in text and text.endswith(END):
                read.append(text)
                break
            time.sleep(0.01)
        gate.open()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread, read


@pytest.mark.parametrize("kind", [pl.pr, pl.th])
@pytest.mark.usefixtures("fork")
def test_a_run_that_was_reported_on_goes_on_as_if_nothing_had_been(
    kind: Any, gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    def held(x: int) -> int:
        if x == 5:
            gate.wait()
        return x

    opener, read = opened_after_a_report(gate, capfd, "with element (5,)")
    assert sorted(kind.map(held, range(10), workers=3)) == list(range(10))
    opener.join()
    assert read


def test_what_a_task_awaits_is_told_while_the_consumer_is_a_coroutine(
    gate: Gate, capfd: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    async def children(x: int) -> Any:
        await gate.wait_async()
        yield x

    async def main() -> list[int]:
        return await pl.io.flat_map(children, range(3))

    # Seen through `async for`, which hides what it awaits.
    opener, read = opened_after_a_report(gate, capfd, "in children\n      await gate.wait_async()")
    assert sorted(asyncio.run(main())) == [0, 1, 2]
    opener.join()
    assert "the consumer waits for an element from flat_map(children)" in read[0]


def test_the_programs_own_handler_is_called_and_stays(
    gate: Gate, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYPELN_DEBUG", "SIGUSR1")
    called: list[int] = []

    def handler(number: int, frame: Any) -> None:
        called.append(number)

    def ask(x: int) -> int:
        os.kill(os.getpid(), signal.SIGUSR1)
        gate.wait()
        return x

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        opener, read = opened_after_a_report(gate, capfd, "SIGUSR1 asks for a report")
        assert list(pl.th.map(ask, [1])) == [1]
        opener.join()
        assert read
        assert called == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is handler
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_until(lambda: len(called) == 2, "the handler is called after the run")
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_is_set_during_the_run_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPELN_DEBUG", "SIGUSR1")
    called: list[int] = []

    def handler(number: int, frame: Any) -> None:
        called.append(number)

    before = signal.getsignal(signal.SIGUSR1)
    try:
        for _ in pl.th.map(abs, [1]):
            signal.signal(signal.SIGUSR1, handler)
        os.kill(os.getpid(), signal.SIGUSR1)
        wait_until(lambda: called == [signal.SIGUSR1], "the handler is called after the run")
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_fork_during_a_watched_run_can_end_and_can_run_pipelines_itself() -> None:
    """The copy has no watching thread, and faulthandler would wait for its timer's for ever."""
    for x in pl.th.map(abs, range(20)):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                if list(pl.th.map(abs, [-x])) == [x]:
                    faulthandler.cancel_dump_traceback_later()
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0


def test_runs_of_several_threads_are_watched_by_one_and_leave_nothing() -> None:
    def consume() -> None:
        for _ in range(5):
            assert sum(pl.th.map(abs, range(100), workers=2)) == 4950

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, sum(each.name == "pypeln diagnosis" for each in threading.enumerate()))
    assert most == 1


@pytest.mark.parametrize("setting", [None, "", "0"])
def test_without_the_variable_nothing_of_it_is_even_imported(
    setting: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is None:
        monkeypatch.delenv("PYPELN_DEBUG")
    else:
        monkeypatch.setenv("PYPELN_DEBUG", setting)
    loaded = "say(*({'pypeln.run.report', 'pypeln.run.stacks'} & set(sys.modules)), 'end')"
    with program(tmp_path, f"list(pr.map(same, range(10))); {loaded}") as running:
        assert running.wait_for_line() == "end"
        assert running.end() == (0, "")
        assert running.stderr == ""


@pytest.mark.parametrize(
    ("text", "stall_s", "signum"),
    [
        ("10", 10.0, None),
        ("0.5,SIGUSR1", 0.5, signal.SIGUSR1),
        ("SIGUSR2", None, signal.SIGUSR2),
        (" SIGUSR2 , 3 ", 3.0, signal.SIGUSR2),
    ],
)
def test_what_the_variable_may_say(text: str, stall_s: float | None, signum: int | None) -> None:
    assert read_settings(text) == (stall_s, signum)


@pytest.mark.parametrize("text", ["yes", "-1", "nan", "inf", "SIGNOTHING", "10;SIGUSR1"])
def test_anything_else_is_an_error_before_the_first_element(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYPELN_DEBUG", text)
    with pytest.raises(ValueError, match="PYPELN_DEBUG is "):
        list(pl.th.map(abs, [1]))


def test_what_faulthandler_writes_is_read_thread_by_thread(tmp_path: Path) -> None:
    with (tmp_path / "dump").open("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        stacks = parse(file.read())
    mine = sys._getframe()
    assert any(
        stack[-1][0::2] == Frame(__file__, 0, mine.f_code.co_name)[0::2] and len(stack) > 3
        for stack in stacks
    )
