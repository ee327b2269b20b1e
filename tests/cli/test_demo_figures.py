"""What the demo counts, and how it is shown: figures, table, progress line."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from pypeln.demo.database import Totals
from pypeln.demo.figures import StageFigures
from pypeln.demo.job import Outcome
from pypeln.demo.progress import Progress
from pypeln.demo.report import describe, table

TOTALS = Totals(1234, 5_600_000, 70_000, 800, 90, 100, 200_000, 3_000, 0)


def test_figures_add_up_elements_and_span_from_first_to_last() -> None:
    figures = StageFigures("parse", "processes (pr)", 2)
    figures.record(11.0, 12.0, emitted=5)
    figures.record(10.0, 11.5, emitted=0)
    assert (figures.taken, figures.emitted) == (2, 5)
    assert figures.seconds == 2.0
    assert figures.seconds_in_f == 2.5
    assert figures.rate == 1.0


def test_figures_of_a_stage_without_elements_are_zero() -> None:
    figures = StageFigures("fetch", "tasks (io)", 16)
    assert (figures.taken, figures.emitted, figures.seconds, figures.rate) == (0, 0, 0.0, 0.0)


def test_an_element_whose_function_fails_is_not_counted() -> None:
    figures = StageFigures("read", "threads (th)", 1)
    with pytest.raises(OSError, match="gone"), figures.element():
        raise OSError("gone")
    assert figures.taken == 0


def test_no_element_is_lost_between_threads() -> None:
    figures = StageFigures("read", "threads (th)", 8)

    def work() -> None:
        for _ in range(2_000):
            with figures.element():
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (figures.taken, figures.emitted) == (16_000, 16_000)


def test_the_columns_of_the_table_are_aligned() -> None:
    long = StageFigures("a long name", "threads (th)", 4)
    long.record(0.0, 2.0, emitted=1_234_567)
    headings, rule, *rows = table([long, StageFigures("b", "x", 1)]).splitlines()
    assert rows[0].split()[-5:] == ["1", "1,234,567", "2.00", "0", "2.00"]
    assert len({len(line) for line in (headings, rule, *rows)}) == 1
    assert all(not line.endswith(" ") for line in (headings, rule, *rows))


def test_the_report_says_where_the_rows_are_and_how_many_files_failed() -> None:
    whole = describe(Outcome([], TOTALS, 1.25, Path("demo.sqlite")))
    assert "1,234 files" in whole
    assert "demo.sqlite" in whole
    assert "could not be parsed" not in whole
    assert "7 could not be parsed" in describe(
        Outcome([], TOTALS._replace(failed=7), 1.25, Path("demo.sqlite"))
    )


def test_progress_shows_its_last_state_and_clears_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal = io.StringIO()
    with Progress(terminal, "files", shown=True) as progress:
        progress.start(200)
        for _ in range(200):
            progress.advance()
    draws = terminal.getvalue().split("\r")
    assert draws[0] == ""
    assert draws[1].endswith("0/200 files")
    assert draws[-3] == f"[{'#' * 30}] 200/200 files"
    assert draws[-2] == " " * len(draws[-3])
    assert draws[-1] == ""


def test_progress_never_fills_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal = io.StringIO()
    with Progress(terminal, "files", shown=True) as progress:
        progress.start(2)
        progress.advance()
        progress.advance()
    assert max(map(len, terminal.getvalue().split("\r"))) == 19


def test_progress_that_is_not_shown_counts_and_writes_nothing() -> None:
    terminal = io.StringIO()
    with Progress(terminal, "files", shown=False) as progress:
        progress.start(2)
        progress.advance()
    assert (progress.done, terminal.getvalue()) == (1, "")
