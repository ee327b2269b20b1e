"""The benchmarks run, check their contenders' results and refuse packages that are not installed copies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import run  # noqa: E402
from cases import MODULES, load_case  # noqa: E402
from harness import processes, results  # noqa: E402
from harness.case import Case, Contender, Role  # noqa: E402
from harness.checks import WrongResults, check_each_once  # noqa: E402
from harness.environment import UnfitPackage, require_installed  # noqa: E402
from harness.report import quantity, ratio, table  # noqa: E402
from harness.rounds import Interpreters, Rounds, Row, rows_of  # noqa: E402

# The first and the last case of each module: those in between differ from them in sizes and payloads.
QUICK = [
    name
    for module in dict.fromkeys(MODULES.values())
    for names in [[name for name in MODULES if MODULES[name] == module]]
    for name in dict.fromkeys([names[0], names[-1]])
]

# Seconds for a quick run of them; two cores with nothing else to do need less than a minute.
LONGEST_S = 1200

# Why a contender may not have run: what it needs, the tests do not install.
MAY_BE_MISSING = re.compile(
    r"no --old-python|"
    r"(aiohttp|aiometer|faster_fifo|joblib|loky|mpire|pyper|streamable|torch|uvloop) is not installed"
)


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@pytest.fixture(scope="module")
def pypeln_is_a_copy() -> None:
    unfit = processes.describe(sys.executable)["unfit"]
    if unfit:
        pytest.skip(unfit)


@pytest.fixture(scope="module")
def quick_run(
    pypeln_is_a_copy: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Cases of every module by one command, and what it wrote down of each."""
    answer = tmp_path_factory.mktemp("quick") / "answer.json"
    done = run_benchmarks(
        "--quick", "--repeats", "1", "--timeout", "300", "--json", str(answer), "--cases", ",".join(QUICK)
    )
    return done, {case["case"]: case for case in results.load(answer)["cases"]}


@pytest.mark.watchdog(LONGEST_S + 10)
@pytest.mark.parametrize("name", QUICK)
def test_every_contender_of_a_case_delivers_each_element_once(
    name: str, quick_run: tuple[subprocess.CompletedProcess[str], dict[str, Any]]
) -> None:
    done, cases = quick_run
    rows = cases[name]["rows"]
    for row in rows:
        assert not row["failed"]
        assert row["median"] is not None or MAY_BE_MISSING.match(row["not_run"])
    assert any(row["role"] == "pypeln" for row in rows)
    assert all(row["contender"] in done.stdout for row in rows)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("pypeln_is_a_copy")
def test_an_interpreter_without_0_4_9_is_refused_as_the_old_one() -> None:
    done = run_benchmarks("--quick", "--cases", "P5", "--old-python", sys.executable)
    assert done.returncode == 2
    assert "must have pypeln 0.4.9" in done.stderr


def test_an_unknown_case_is_a_one_line_error() -> None:
    done = run_benchmarks("--cases", "P1,Z9")
    assert done.returncode == 2
    assert "there is no case 'Z9'" in done.stderr.splitlines()[-1]


def test_a_package_in_a_source_tree_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in_a_tree").mkdir()
    (tmp_path / "in_a_tree" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnfitPackage, match="not installed"):
        require_installed("in_a_tree")


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([1, 2], "missing: 3; unexpected or doubled: none"),
        ([1, 2, 3, 3], "missing: none; unexpected or doubled: 3"),
        ([1, 2, 2], "missing: 3; unexpected or doubled: 2"),
        ([1, 2, 9], "missing: 3; unexpected or doubled: 9"),
    ],
)
def test_wrong_results_are_named(results: list[int], message: str) -> None:
    with pytest.raises(WrongResults, match=message):
        check_each_once(results, [1, 2, 3])


def test_results_in_another_order_are_right() -> None:
    check_each_once([3, 1, 2], range(1, 4))


def test_a_contender_that_fails_or_hangs_is_reported_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    monkeypatch.setattr(processes, "CHILD", child)
    child.write_text("raise SystemExit('no such luck')")
    with pytest.raises(
        processes.RunFailed, match="P1, somebody, workers=1, items=5: exit status 1\nno such luck"
    ):
        processes.measure(sys.executable, "P1", "somebody", workers=1, items=5, timeout_s=60)
    child.write_text("import signal; signal.pause()")
    with pytest.raises(processes.RunFailed, match="not done after 1 s, killed"):
        processes.measure(sys.executable, "P1", "somebody", workers=1, items=5, timeout_s=1)


def sampled(case: Case, **values: list[float]) -> dict[str, Row]:
    return {
        role: Row(
            Contender(role, Role[role], 1, case.contenders[0].open),
            workers=case.workers[0],
            items=1,
            samples=[{"value": value, "extra": {}} for value in samples],
        )
        for role, samples in values.items()
    }


def test_ratios_are_of_medians_and_above_one_when_better() -> None:
    rate, duration = load_case("P1"), load_case("P5")
    assert rate.higher_is_better
    assert not duration.higher_is_better
    rows = sampled(rate, PYPELN=[1, 6, 100], OLD=[2, 2, 900])
    assert ratio(rate, rows["PYPELN"], rows["OLD"]) == 3
    assert ratio(duration, rows["PYPELN"], rows["OLD"]) == pytest.approx(1 / 3)
    assert ratio(rate, rows["PYPELN"], None) is None


def test_the_table_compares_with_the_best_peer_and_names_who_did_not_run() -> None:
    case = load_case("P1")
    rows = sampled(case, PYPELN=[4e6], PEER=[1e6], REFERENCE=[1e7])
    slower = sampled(case, PEER=[1e3], OLD=[])
    slower["OLD"].not_run = "no --old-python given"
    lines = table(case, [*rows.values(), *slower.values()]).splitlines()
    (pypeln,) = [line for line in lines if line.startswith("PYPELN")]
    assert pypeln.split() == ["PYPELN", "4.00M", "4.00M", "4.00M", "4.00x", "-", "-", "1"]
    (old,) = [line for line in lines if line.startswith("OLD")]
    assert old.split(maxsplit=1)[1] == "not run: no --old-python given"


def test_quantities_keep_three_digits() -> None:
    values = (None, 0.00237, 0.0996, 3.14159, 42, 99.97, 999.4, 999.6, 1234, 999_700, 8.75e6)
    written = ["-", "0.0024", "0.10", "3.14", "42.0", "100", "999", "1.00k", "1.23k", "1.00M", "8.75M"]
    assert [quantity(value) for value in values] == written


def test_a_contender_that_failed_once_has_no_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    count = tmp_path / "count"
    count.touch()
    child.write_text(
        "import pathlib, sys\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "count.write_text(count.read_text() + 'x')\n"
        "if len(count.read_text()) == 2: sys.exit('second round fails')\n"
        'print(\'{"value": 1, "extra": {}}\')\n'
    )
    monkeypatch.setattr(processes, "CHILD", child)
    interpreters = Interpreters(sys.executable, {}, None, {})
    rounds = Rounds(interpreters, timeout_s=60, progress=lambda text: None)
    case = load_case("P2")
    rows = rows_of(case, only=["3 Pools chunk 1"], quick=True)
    for number in range(4):
        rounds.add(case, rows, str(number))
    (row,) = rows
    assert len(count.read_text()) == 2
    assert row.failed is not None
    assert "second round fails" in row.failed
    assert "FAILED" in table(case, rows)


@pytest.mark.parametrize(("minutes", "rounds_run"), [(None, 5), (10, 5), (1, 2), (0.5, 1)])
def test_rounds_end_in_the_time_that_is_given(
    minutes: float | None, rounds_run: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(run, "perf_counter", lambda: now[0])
    run_cases = []

    class FakeRounds(Rounds):
        def add(self, case: Case, rows: list[Row], round_name: str) -> None:
            run_cases.append(case.name)
            now[0] += 15

    rounds = FakeRounds(Interpreters("", {}, None, {}), timeout_s=1, progress=lambda text: None)
    blocks = [(case, rows_of(case)) for case in map(load_case, ("P1", "P5"))]
    run.measure_rounds(rounds, blocks, repeats=5, minutes=minutes)
    assert run_cases == ["P1", "P5"] * rounds_run
    run_cases.clear()
    run.measure_rounds(rounds, blocks, repeats=5, minutes=0.2)
    assert run_cases == ["P1"]
    assert {row.not_run for row in blocks[0][1]} == {None}
    assert {row.not_run for row in blocks[1][1]} == {"no time was left"}


def test_worker_counts_and_patterns_of_cases_can_be_chosen() -> None:
    options = run.parse(["--cases", "T1,q1-*,t1", "--workers", "1,16"])
    assert options.cases == ["T1", "Q1-PROCESSES", "Q1-THREADS"]
    assert options.workers == (1, 16)


def test_a_quick_run_takes_each_contender_once_with_its_last_worker_count() -> None:
    rows = rows_of(load_case("P1"), quick=True)
    assert len(rows) == len(load_case("P1").contenders)
    assert {row.workers for row in rows if row.contender.name == "pypeln"} == {2}
    assert {row.workers for row in rows if row.contender.name == "plain map()"} == {1}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is looked at as Linux shows it")
def test_memory_counts_what_processes_share_once_and_what_is_reserved() -> None:
    from harness.memory import tree_mib

    before = tree_mib()
    own = bytearray(os.urandom(1 << 20)) * 32
    descriptor = os.memfd_create("reserved")
    os.posix_fallocate(descriptor, 0, 64 << 20)
    # A child that shares all of it.
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        grown = tree_mib() - before
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(descriptor)
    assert len(own) == 32 << 20
    assert 96 <= grown < 96 + 16
