"""The words after `pypeln`: what they print, and how wrong ones are refused."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from pypeln import __version__
from pypeln.cli import main


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, which must refuse its options in one line, and return that line."""
    with pytest.raises(SystemExit) as ending:
        main(words)
    output = capsys.readouterr()
    assert ending.value.code == 2
    assert output.out == ""
    assert output.err.endswith("\n")
    assert output.err.count("\n") == 1
    return output.err


def test_version_is_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["--version"])
    assert ending.value.code == 0
    assert capsys.readouterr().out == f"pypeln {__version__}\n"


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr().out
    assert "--version" in output
    assert "demo" in output


def test_help_of_demo_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["demo", "--help"])
    assert ending.value.code == 0
    output = capsys.readouterr().out
    for option in ("--files", "--workers", "--database", "--quiet"):
        assert option in output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--fast"], "--fast"),
        (["demo", "--fast"], "--fast"),
        (["--fast", "demo"], "--fast"),
        (["demo", "--file", "3"], "--file"),
        (["demo", "more"], "more"),
        (["dmeo"], "dmeo"),
        (["demo", "--files"], "--files"),
        (["demo", "--files", "0"], "--files"),
        (["demo", "--files", "-3"], "--files"),
        (["demo", "--files", "many"], "--files"),
        (["demo", "--files", "1.5"], "--files"),
        (["demo", "--workers", "0"], "--workers"),
        (["demo", "--workers", ""], "--workers"),
        (["demo", "--workers", "two\nlines"], "--workers"),
        (["demo", "--quiet=yes"], "--quiet"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(words, capsys)
    assert named in line
    assert "--help" in line


def test_a_database_that_is_none_is_refused_and_untouched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, and longer than the header of one " * 10)
    before = path.read_bytes()
    line = refusal(["demo", "--database", str(path)], capsys)
    assert "--database" in line
    assert str(path) in line
    assert "not a database" in line
    assert path.read_bytes() == before


def test_a_database_in_a_folder_that_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert str(tmp_path / "nowhere") in refusal(
        ["demo", "--database", str(tmp_path / "nowhere" / "demo.sqlite")], capsys
    )
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_as_database_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a file" in refusal(["demo", "--database", str(tmp_path)], capsys)


@pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="needs permissions that can be denied: not Windows, not root",
)
def test_a_database_without_permission_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo.sqlite"
    path.touch(mode=0o400)
    assert "permission" in refusal(["demo", "--database", str(path)], capsys)


def test_tables_of_somebody_else_are_refused_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photos.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE files (photo TEXT)")
    connection.execute("INSERT INTO files VALUES ('cat')")
    connection.commit()
    assert "'files'" in refusal(["demo", "--database", str(path)], capsys)
    assert connection.execute("SELECT * FROM files").fetchall() == [("cat",)]
    connection.close()
