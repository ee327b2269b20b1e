"""What worker processes tell their run: errors that keep type and attributes, through a pipe."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.notes import wait_until

from pypeln.errors import RemoteError
from pypeln.run.reports import LENGTH, ErrorReport, Finished, ReportReader, ReportWriter


class TwoArguments(Exception):
    """Its args are not those of its __init__, so that pickle alone cannot rebuild it."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{name} has {number}")
        self.name = name
        self.number = number


class Unprintable(Exception):
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.fixture
def pipe() -> Iterator[tuple[ReportWriter, ReportReader, int]]:
    reading, writing = os.pipe()
    reader = ReportReader(reading)
    yield ReportWriter(writing), reader, writing
    os.close(reading)
    try:
        os.close(writing)
    except OSError:
        pass  # the test has closed it


Pipe = tuple[ReportWriter, ReportReader, int]


def sent_through(pipe: Pipe, error: BaseException, index: tuple[int, ...] | None = (1,)) -> ErrorReport:
    try:
        raise error
    except BaseException as raised:
        pipe[0].failure(raised, index)
    reports, _ = pipe[1].read()
    (report,) = reports
    assert isinstance(report, ErrorReport)
    return report


@pytest.mark.parametrize(
    "error",
    [
        ValueError("text"),
        KeyError("key"),
        OSError(2, "No such file", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        subprocess.CalledProcessError(3, ["command"], b"out"),
        KeyboardInterrupt(),
        SystemExit(4),
        StopIteration(5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_python_arrive_as_they_are(pipe: Pipe, error: BaseException) -> None:
    got = sent_through(pipe, error).error
    assert type(got) is type(error)
    assert (got.args, str(got)) == (error.args, str(error))
    assert {k: v for k, v in vars(got).items() if k != "__notes__"} == vars(error)


def test_an_error_with_a_signature_of_its_own_keeps_type_and_attributes(pipe: Pipe) -> None:
    got = sent_through(pipe, TwoArguments("x", 2)).error
    assert type(got) is TwoArguments
    assert (got.name, got.number, str(got)) == ("x", 2, "x has 2")


def test_an_error_of_a_class_that_no_module_has_keeps_its_attributes(pipe: Pipe) -> None:
    class Local(Exception):
        pass

    error = Local("text")
    error.detail = 5  # type: ignore[attr-defined]
    got = sent_through(pipe, error).error
    assert type(got).__qualname__ == Local.__qualname__
    assert (got.args, got.detail) == (("text",), 5)  # type: ignore[attr-defined]


def test_what_cannot_be_pickled_arrives_as_type_name_message_and_traceback(pipe: Pipe) -> None:
    error = ValueError("text")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    got = sent_through(pipe, error).error
    assert type(got) is RemoteError
    assert (got.type_name, got.message, str(got)) == ("ValueError", "text", "ValueError: text")
    assert "in sent_through" in got.traceback


def test_an_error_whose_text_fails_arrives_too(pipe: Pipe) -> None:
    got = sent_through(pipe, Unprintable()).error
    assert type(got) is RemoteError
    assert got.type_name.endswith("Unprintable")
    assert "RuntimeError" in got.message


def test_index_traceback_and_notes_travel_along(pipe: Pipe) -> None:
    error = ValueError("text")
    error.__notes__ = ["first", "second"]  # type: ignore[attr-defined]
    report = sent_through(pipe, error, (3, 4))
    assert report.index == (3, 4)
    assert "in sent_through" in report.traceback
    assert report.error.__notes__ == ["first", "second"]  # type: ignore[attr-defined]
    assert sent_through(pipe, ValueError(), None).index is None


def test_an_error_that_cannot_be_read_is_reported_as_that(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe[0].failure(TwoArguments("x", 2), (1,))
    monkeypatch.delitem(globals(), "TwoArguments")
    ((report,), _) = pipe[1].read()
    assert isinstance(report, ErrorReport)
    assert type(report.error) is RemoteError
    assert "TwoArguments" in str(report.error)


def test_the_end_of_the_work_is_reported(pipe: Pipe) -> None:
    assert pipe[1].read() == ([], False)
    pipe[0].finished()
    assert pipe[1].read() == ([Finished()], False)
    os.close(pipe[2])
    assert pipe[1].read() == ([], True)


def test_records_arrive_in_any_pieces() -> None:
    reading, writing = os.pipe()
    source_reading, source_writing = os.pipe()
    writer, reader = ReportWriter(source_writing), ReportReader(reading)
    writer.failure(ValueError("one"), (1,))
    writer.finished()
    data = os.read(source_reading, 1 << 16)
    reports: list[Any] = []
    for byte in data:
        os.write(writing, bytes([byte]))
        some, ended = reader.read()
        assert not ended
        reports += some
    assert [type(report) for report in reports] == [ErrorReport, Finished]
    for fd in (reading, writing, source_reading, source_writing):
        os.close(fd)


def test_a_record_that_breaks_off_is_none(pipe: Pipe) -> None:
    os.write(pipe[2], LENGTH.pack(1000) + b"cut")
    os.close(pipe[2])
    assert pipe[1].read() == ([], True)


def test_a_report_larger_than_the_pipe_arrives_whole(pipe: Pipe) -> None:
    error = ValueError("x" * 1_000_000)
    thread = threading.Thread(target=pipe[0].failure, args=(error, (1,)))
    thread.start()
    reports: list[Any] = []

    def read() -> bool:
        reports.extend(pipe[1].read()[0])
        return bool(reports)

    wait_until(read, "the report is there")
    thread.join()
    assert reports[0].error.args == error.args
