"""How one contender is run and timed once, inside its own fresh process."""

from __future__ import annotations

import subprocess
import sys
from array import array
from collections.abc import Callable
from itertools import islice
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import Any

from harness.case import Case, Contender, Measure, Sample
from harness.checks import WrongResults, check_each_once
from harness.memory import tree_mib
from harness.resources import cpu_seconds

# Steady rates shorter than this say more about a scheduler's slice than about the pipeline.
SHORTEST_STEADY_S = 0.05

# Less is beyond what a look at the memory can tell.
LEAST_MIB = 0.1

# Percent of a core; less is beyond the clock of CPU time and the spread of start and stop.
LEAST_CPU_SHARE = 0.05


def throughput(case: Case, contender: Contender, items: int, workers: int) -> Sample:
    """Elements per second of the whole pipeline, from before its start until after its end.

    The steady rate, where there is one, leaves out the start, the first fifth of the results and the end. CPU
    time per element is that of all processes; other work on the machine hardly changes it.
    """
    wanted = list(case.expected(items))
    head = len(wanted) // 5
    cpu, start = cpu_seconds(), perf_counter()
    with contender.open(items, workers) as opened:
        stream = iter(opened)
        results = list(islice(stream, head))
        headed = perf_counter()
        results.extend(stream)
        drained = perf_counter()
    elapsed = perf_counter() - start
    extra = {"cpu us": 1e6 * (cpu_seconds() - cpu) / items}
    check_each_once(results, wanted, case.key)
    if contender.streams and drained - headed >= SHORTEST_STEADY_S:
        extra["steady"] = items * (1 - head / len(wanted)) / (drained - headed)
    return Sample(items / elapsed, extra)


def efficiency(ideal_s: Callable[[int, int], float]) -> Measure:
    """A measure: the ideal time for (items, workers) as a percentage of the time taken."""

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        rate = throughput(case, contender, items, workers)
        return Sample(100 * ideal_s(items, workers) * rate.value / items)

    return measure


def bandwidth(nbytes_of: Callable[[int], int], read: Callable[[Any], Any]) -> Measure:
    """A measure: GB of input per second of the whole pipeline, for elements that are arrays or hold some.

    Args:
        nbytes_of: the bytes of one element, for a number of elements.
        read: reads a result and returns by what it is told from others. Results are dropped one by one.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        marks = []
        opening = contender.open(items, workers)  # makes the elements of the source, so not on the clock
        start = perf_counter()
        with opening as opened:
            for result in opened:
                marks.append(read(result))
        elapsed = perf_counter() - start
        check_each_once(marks, case.expected(items), case.key)
        return Sample(items * nbytes_of(items) / elapsed / 1e9)

    return measure


def batches(read: Callable[[Any], list[Any]]) -> Measure:
    """A measure: elements per second of the whole pipeline, whose results are batches of elements.

    `read` reads a batch and returns by what each of its elements is told from others.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        wanted = list(case.expected(items))
        opening = contender.open(items, workers)
        marks = []
        cpu, start = cpu_seconds(), perf_counter()
        with opening as opened:
            for batch in opened:
                marks += read(batch)
        elapsed = perf_counter() - start
        extra = {"cpu ms": 1e3 * (cpu_seconds() - cpu) / items}
        check_each_once(marks, wanted, case.key)
        return Sample(items / elapsed, extra)

    return measure


def start_stop(runs: int) -> Measure:
    """A measure: milliseconds to start a pipeline, get all its results and stop it, median of `runs`.

    The first run is quoted apart, because it pays for what a process loads and allocates only once.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        wanted = list(case.expected(items))
        times_ms = []
        for _ in range(runs):
            start = perf_counter()
            with contender.open(items, workers) as opened:
                results = list(opened)
            times_ms.append(1e3 * (perf_counter() - start))
            check_each_once(results, wanted, case.key)
        return Sample(median(times_ms[1:]), {"first": times_ms[0]})

    return measure


def round_trip(warm_up: int) -> Measure:
    """A measure: microseconds for one element through an otherwise empty pipeline, the median of all.

    The contender yields a callable that sends one element and returns its result. The first `warm_up`
    exchanges are not counted: the workers may still be starting.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        times_us = []
        with contender.open(items, workers) as exchange:
            for element, wanted in enumerate(case.expected(items + warm_up)):
                start = perf_counter()
                result = exchange(element)
                times_us.append(1e6 * (perf_counter() - start))
                if result != wanted:
                    raise WrongResults(f"element {element} came back as {result!r}, expected {wanted!r}")
        counted = times_us[warm_up:]
        return Sample(median(counted), {"p99": quantiles(counted, n=100)[98]})

    return measure


# The number of an element and the time at which it left the source.
Stamped = tuple[int, float]


def latency(figure: str, counts: Callable[[int], bool] = lambda number: True) -> Measure:
    """A measure: microseconds from the source to the consumer, for elements that carry their number and time.

    The first fifth is not counted: the workers may still be starting.

    Args:
        figure: which of median, p99 and worst is the case's figure; the others are quoted beside it.
        counts: whether the element of this number is one of those that are looked at.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        numbers, times_us = [], []
        with contender.open(items, workers) as opened:
            for number, left_source in opened:
                arrived = perf_counter()
                numbers.append(number)
                if number >= items // 5 and counts(number):
                    times_us.append(1e6 * (arrived - left_source))
        check_each_once(numbers, case.expected(items))
        figures = {
            "median": median(times_us),
            "p99": quantiles(times_us, n=100)[98],
            "worst": max(times_us),
        }
        return Sample(figures.pop(figure), figures)

    return measure


# Results taken at once where they are many.
PIECE = 4096

# Seconds between two looks at the memory, which take some milliseconds each.
LOOK_S = 0.25


def throughput_and_growth(case: Case, contender: Contender, items: int, workers: int) -> Sample:
    """Elements per second of the whole pipeline, for results that are ints, and the MiB by which it grows.

    The results lie in memory that is taken before, so that what grows is the pipeline. The time of looking at
    the memory is not counted.
    """
    results = array("q", bytes(8 * items))
    arrived = 0
    before = most = tree_mib()
    start = perf_counter()
    looking_s, look = 0.0, start + LOOK_S
    with contender.open(items, workers) as opened:
        stream = iter(opened)
        while some := array("q", islice(stream, PIECE)):
            results[arrived : arrived + len(some)] = some
            arrived += len(some)
            if (now := perf_counter()) > look:
                most = max(most, tree_mib())
                look = perf_counter() + LOOK_S
                looking_s += perf_counter() - now
    elapsed = perf_counter() - start - looking_s
    check_each_once(results.tolist(), case.expected(items))
    return Sample(items / elapsed, {"MiB more": max(most - before, LEAST_MIB)})


def memory_growth(slow_s: float, number_of: Callable[[Any], int]) -> Measure:
    """A measure: MiB by which this process and its children grow behind a slow consumer.

    The consumer takes `items` elements slowly, `slow_s` seconds each, and then what is left as it comes: the
    source has ended by then. Elements are numbered by `number_of`, from 0 on, and dropped one by one.
    """

    def measure(case: Case, contender: Contender, items: int, workers: int) -> Sample:
        numbers = array("q")
        before = most = tree_mib()
        with contender.open(items, workers) as opened:
            look = 0.0
            for element in opened:
                numbers.append(number_of(element))
                if len(numbers) > items:
                    continue
                sleep(slow_s)
                if perf_counter() > look or len(numbers) == items:
                    most = max(most, tree_mib())
                    look = perf_counter() + LOOK_S
        check_each_once(list(numbers), case.expected(items))
        return Sample(max(most - before, LEAST_MIB), {"elements": len(numbers)})

    return measure


def idle_cpu(case: Case, contender: Contender, items: int, workers: int) -> Sample:
    """CPU of this process and its children while a slow source pauses, in percent of a core.

    A run with a single element, so without a pause, is taken off: starting and stopping are not idling.
    """

    def run(items: int) -> tuple[float, float]:
        start, cpu = perf_counter(), cpu_seconds()
        with contender.open(items, workers) as opened:
            results = list(opened)
        check_each_once(results, case.expected(items), case.key)
        return perf_counter() - start, cpu_seconds() - cpu

    run(1)
    elapsed_once, cpu_once = run(1)
    elapsed, cpu = run(items)
    share = 100 * (cpu - cpu_once) / (elapsed - elapsed_once)
    return Sample(max(share, LEAST_CPU_SHARE))


def import_time(case: Case, contender: Contender, items: int, workers: int) -> Sample:
    """Milliseconds that a fresh process takes longer when it runs the contender's import statement.

    The median of `items` processes with it less that of as many without, taken in turns.
    """

    def run(statement: str) -> float:
        start = perf_counter()
        subprocess.run([sys.executable, "-I", "-c", statement], check=True)
        return 1e3 * (perf_counter() - start)

    with contender.open(items, workers) as statement:
        # The first import may have to compile and to read from disk.
        run(statement)
        pairs = [(run(statement), run("pass")) for _ in range(items)]
    return Sample(median(with_it for with_it, _ in pairs) - median(empty for _, empty in pairs))
