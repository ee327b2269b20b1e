"""One scenario: built, run, and everything about it checked that can be seen from inside."""

from __future__ import annotations

import ast
import asyncio
import gc
import os
import resource
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import fates
import work
from elements import CorruptedError, Key
from shapes import Node, Scenario
from support.leaks import Resources

import pypeln as pl
import pypeln.errors

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGIO)


class ConsumerLeftError(Exception):
    """The consumer raises it when it has had enough."""


class Report:
    """What came of a run.

    Attributes:
        problems: What is wrong, for people; each begins with its kind.
        got: The elements that the consumer had.
        died: What a WorkerDied said: stage, worker, pid, exit code, elements; None when nobody did.
        counts: Further figures.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.got: list[Key] = []
        self.ended = "complete"
        self.died: tuple[Any, ...] | None = None
        self.counts: dict[str, int] = {}

    def problem(self, kind: str, text: str) -> None:
        """Something is wrong."""
        self.problems.append(f"{kind}: {text}")

    def as_dict(self) -> dict[str, Any]:
        """What the monitor is told."""
        return {
            "problems": self.problems,
            "got": len(self.got),
            "ended": self.ended,
            "died": self.died,
            "counts": self.counts,
        }


def execute(scenario: Scenario, folder: str, on_start: Callable[[], None]) -> Report:
    """Run a scenario and check it.

    Args:
        scenario: What to run.
        folder: An empty folder for its notes.
        on_start: Called just before it starts.
    """
    report = Report()
    before = Resources()
    handlers = [signal.getsignal(number) for number in HANDLED]
    environment = os.environ.pop("PYPELN_QUEUE_BYTES", None)
    if scenario.queue_bytes is not None:
        os.environ["PYPELN_QUEUE_BYTES"] = str(scenario.queue_bytes)
    stages = build(scenario, folder)
    error = _ended(scenario, stages, report, on_start)
    if error is not None:
        _judge_error(scenario, error, report)
    # Its traceback holds the frames of the run.
    error = None
    os.environ.pop("PYPELN_QUEUE_BYTES", None)
    if environment is not None:
        os.environ["PYPELN_QUEUE_BYTES"] = environment
    _judge_results(scenario, folder, report)
    gc.collect()  # an error that the consumer raised keeps the iterator, in a cycle with its own frame
    _judge_stats(scenario, stages, report)
    del stages
    left = before.left_since()
    if left:
        report.problem("leak", "; ".join(left))
        before.kill_new_processes()
    if [signal.getsignal(number) for number in HANDLED] != handlers:
        report.problem("leak", "signal handlers are others than before")
    if signal.pthread_sigmask(signal.SIG_BLOCK, []):
        report.problem("leak", "signals are blocked")
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
    return report


def build(scenario: Scenario, folder: str) -> list[Any]:
    """The stage of each node."""
    stages: list[Any] = []
    for node in scenario.nodes:
        place = work.Place(scenario.seed, scenario.profile, node, folder)
        front = getattr(pl, node.kind)
        inputs = [stages[each] for each in node.inputs]
        if node.operator == "source":
            stages.append(_source(node, place, front))
        elif node.operator == "concat":
            stages.append(front.concat(inputs, **node.options))
        elif node.operator == "ordered":
            stages.append(front.ordered(*inputs, **node.options))
        else:
            options = dict(node.options)
            if options.get("on_error") == "replace":
                options["on_error"] = work.Replace(place)
            if node.callbacks:
                options.update(on_start=work.OnStart(), on_done=work.OnDone())
            stages.append(getattr(front, node.operator)(_function(node, place), *inputs, **options))
    return stages


def _source(node: Node, place: work.Place, front: Any) -> Any:
    source = work.AsyncSource(place) if node.is_async else work.Source(place)
    if node.source == "plain":
        return source
    if node.source == "process":
        return pl.pr.from_iterable(source, use_thread=False, **node.options)
    return front.from_iterable(source, **node.options)


def _function(node: Node, place: work.Place) -> Any:
    if not node.is_async:
        return work.Step(place)
    return (work.AsyncChildren if node.operator == "flat_map" and node.lazy else work.AsyncStep)(place)


def _ended(
    scenario: Scenario, stages: list[Any], report: Report, on_start: Callable[[], None]
) -> BaseException | None:
    """Iterate the last stage; what that raised."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    consume = _Consumer(scenario, stages[-1], report)
    error: BaseException | None = None
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if scenario.spare_fds is not None:
            highest = max(int(each) for each in os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + scenario.spare_fds, limits[1]))
        consume.run(on_start)
    except BaseException as raised:
        error = raised
    try:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        if handler is not signal.default_int_handler:
            report.problem("leak", f"the handler of Ctrl-C is {handler}")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    gc.collect()
    try:
        consume.look_again()
    except CorruptedError as corrupted:
        return corrupted
    return error


class _Consumer:
    """Whoever iterates a run."""

    def __init__(self, scenario: Scenario, stage: Any, report: Report) -> None:
        self.scenario = scenario
        self.stage = stage
        self.report = report
        last = scenario.nodes[-1]
        self.place = work.Place(scenario.seed, scenario.profile, last, "")
        self.kept: deque[tuple[Key, Any]] = deque(maxlen=scenario.keeps)

    def run(self, on_start: Callable[[], None]) -> None:
        """Iterate until the end, or as long as the scenario says."""
        how = self.scenario.consumer
        if how == "async":
            # Not before its loop: one that is interrupted while it is made says so when it is freed.
            asyncio.run(self._take_async(on_start))
            return
        on_start()
        if how == "thread":
            self._in_a_thread()
        else:
            self._take()

    def look_again(self) -> None:
        """What was kept is to be what it was, whatever has been received since."""
        for key, element in self.kept:
            if self.place.key_of(element) != key:
                self.report.problem("corrupted", f"what was {key} when it came is {element!r} now")

    def _in_a_thread(self) -> None:
        raised: list[BaseException] = []

        def take() -> None:
            try:
                self._take()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        if raised:
            raise raised.pop()

    def _take(self) -> None:
        with_index = self.scenario.consumer == "index"
        iterator: Iterator[Any] = (
            self.stage.to_iterable(self.stage.maxsize, return_index=True) if with_index else iter(self.stage)
        )
        if self.scenario.takes != 0:
            for element in iterator:
                self._take_one(
                    element.value if with_index else element, element.index if with_index else None
                )
                if len(self.report.got) == self.scenario.takes:
                    break
            else:
                return
        self._leave()
        if self.scenario.leaves == "close":
            iterator.close()  # type: ignore[attr-defined]

    async def _take_async(self, on_start: Callable[[], None]) -> None:
        on_start()
        iterator = aiter(self.stage)
        if self.scenario.takes != 0:
            async for element in iterator:
                self._take_one(element)
                if len(self.report.got) == self.scenario.takes:
                    break
            else:
                return
        self._leave()
        if self.scenario.leaves == "close":
            await iterator.aclose()

    def _leave(self) -> None:
        self.report.ended = "left"
        if self.scenario.leaves == "raise":
            raise ConsumerLeftError

    def _take_one(self, element: Any, index: tuple[int, ...] | None = None) -> None:
        key = self.place.key_of(element)
        self.kept.append((key, element))
        self.report.got.append(key)
        if index is not None and index != key.element_index:
            self.report.problem("corrupted", f"{key} came with the index {index}")


def _judge_error(scenario: Scenario, error: BaseException, report: Report) -> None:
    """Whether a run may end with this error."""
    if isinstance(error, ConsumerLeftError):
        return
    report.ended = type(error).__name__
    trusted = True
    if isinstance(error, work.ChaosError):
        trusted = _is_deadly(scenario, error.name, error.key, "fails") or any(
            error.name == node.name and error.key == Key((node.id, node.raises_at))
            for node in scenario.nodes
            if node.raises_at is not None
        )
    elif isinstance(error, CorruptedError):
        trusted = False
    elif isinstance(error, pl.WorkerDied):
        report.died = (error.stage, error.worker, error.pid, error.exitcode, error.elements)
        trusted = _is_death_of(scenario, error)
    elif isinstance(error, KeyboardInterrupt):
        trusted = scenario.weather == "interrupt"
    elif isinstance(error, pl.errors.EncodeError):
        trusted = scenario.queue_bytes is not None and "larger than its queue" in str(error)
    elif isinstance(error, TimeoutError):
        trusted = any(node.late and node.policy == "raise" for node in scenario.functions)
    else:
        trusted = scenario.weather == "small" and isinstance(error, (OSError, MemoryError))
    if not trusted:
        kind = "corrupted" if isinstance(error, CorruptedError) else "unexpected"
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        report.problem(kind, text.rstrip())


def _is_deadly(scenario: Scenario, name: str, key: Key, fault: str) -> bool:
    for node in scenario.functions:
        if node.name == name:
            return fates.ends_run(scenario.seed, node, key) == fault
    return False


def _is_death_of(scenario: Scenario, error: pl.WorkerDied) -> bool:
    """Whether a WorkerDied says what has happened, as far as can be seen from inside."""
    if scenario.weather == "small":
        return True  # an interpreter without descriptors ends as it likes
    named = [node for node in scenario.nodes if node.kind == "pr" or node.source == "process"]
    found = [node for node in named if f"({node.name})" in error.stage]
    if found:
        node = found[0]
    elif any(error.stage.startswith(kind) for kind in ("from_iterable", "concat", "ordered")):
        node = None
    else:
        return False
    workers = 1 if node is None else node.options["workers"]
    if not (0 <= error.worker < workers and error.pid > 0):
        return False
    if scenario.weather != "exits":
        # By whom it was killed is for the monitor to say.
        return scenario.weather == "kills" and error.exitcode == -signal.SIGKILL
    if node is None or error.exitcode != work.EXIT_CODES[node.ending]:
        return False
    outlook = fates.foresee(scenario)
    return set(error.elements) <= {key.element_index for key, _ in outlook.deadly[node.id]}


def _judge_results(scenario: Scenario, folder: str, report: Report) -> None:
    """Whether the consumer had what it should have had."""
    ends = [node.id for node in scenario.nodes if node.operator == "source" and node.count is None]
    seen = max((key.ident[1] for key in report.got if key.ident[0] in ends), default=-1)
    for path in os.listdir(folder):
        if path.endswith("-got"):
            seen = max(seen, max((key.ident[1] for key in _notes(folder, path)), default=-1))
    outlook = fates.foresee(scenario, numbers=seen + 1)
    missing, extra = fates.missing_and_extra(report.got, outlook.results)
    may_be_late = any(node.options.get("timeout") for node in scenario.functions)
    if extra:
        known = set(outlook.results)
        for key, times in extra.items():
            if may_be_late and _stands_in(scenario, key, report.got, known):
                continue
            kind = "duplicated" if key in known else "unexpected"
            report.problem(kind, f"element {key} came {times} times too often, not {list(missing)[:5]}")
    last = scenario.nodes[-1]
    if last.operator == "ordered":
        if not fates.is_in_order(report.got):
            report.problem("disorder", f"{[key.element_index for key in report.got][:100]}")
        is_simple = all(node.operator != "concat" for node in scenario.nodes)
        if is_simple and not may_be_late and report.got != outlook.results[: len(report.got)]:
            report.problem(
                "disorder", f"something is left out: {[key.element_index for key in report.got][:100]}"
            )
    if report.ended != "complete":
        return
    if not outlook.completes:
        deadly = {id: what[:3] for id, what in outlook.deadly.items() if what}
        report.problem("swallowed", f"the run completed in spite of {deadly}")
    elif missing and not may_be_late:
        for key in list(missing)[:10]:
            report.problem("lost", f"element {key} is missing")
    for id, keys in outlook.got.items():
        path = f"{id}-got"
        noted = _notes(folder, path) if os.path.exists(os.path.join(folder, path)) else []
        missing, extra = fates.missing_and_extra(noted, keys)
        if missing and not may_be_late:
            report.problem("lost", f"each was not called for {list(missing)[:10]}")
        if extra and not (scenario.weather == "kills" and scenario.nodes[id].restarts):
            report.problem("duplicated", f"each was called too often for {list(extra)[:10]}")


def _stands_in(scenario: Scenario, key: Key, got: list[Key], known: set[Key]) -> bool:
    """Whether an element may be what came instead of another one, which was late.

    On a machine that is busy with others any call may be. What replaces an element never comes beside it, and
    a filter that is late may let through what it would have dropped.
    """
    originals = {
        Key(key.ident, tuple(stage for stage in key.trace if stage >= 0)),
        # A stage that was late and collected it would have left its number.
        Key(key.ident, tuple(max(stage, -2 - stage) for stage in key.trace if stage != -1)),
    }
    if key in known or any(original != key and original in got for original in originals):
        return False
    drops = [node for node in scenario.functions if node.operator == "filter" and node.policy == "replace"]
    return not known.isdisjoint(originals) or any(node.options.get("timeout") for node in drops)


def _judge_stats(scenario: Scenario, stages: list[Any], report: Report) -> None:
    """Whether the account of each stage is exact: what it took, and what became of that."""
    accounts = [stage.stats() if isinstance(stage, pl.Stage) else None for stage in stages]
    for node, stats in zip(scenario.nodes, accounts, strict=True):
        if stats is None:
            continue
        report.counts["restarts"] = report.counts.get("restarts", 0) + stats.restarts
        report.counts["retries"] = report.counts.get("retries", 0) + stats.retried
        ended = stats.emitted + stats.filtered + stats.failed + stats.timed_out + stats.lost
        if stats.taken != ended or stats.in_hand:
            report.problem("stats", f"{stats} does not add up")
        before = [accounts[each] for each in node.inputs]
        if scenario.nodes[-1].kind == "sync" and any(
            each.operator == "ordered" for each in (node, *(scenario.nodes[each] for each in node.inputs))
        ):
            continue  # in a chain of sync stages it is done before them, and has other elements
        if report.ended == "complete" and before and None not in before:
            sent = sum(each.sent for each in before if each is not None)
            if sent != stats.taken:
                report.problem("stats", f"{stats.name} took {stats.taken} of the {sent} that it was sent")


def _notes(folder: str, path: str) -> list[Key]:
    with open(os.path.join(folder, path)) as file:
        return [Key(*ast.literal_eval(line)) for line in file]
