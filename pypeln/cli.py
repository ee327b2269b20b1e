"""The `pypeln` command: its options, its exit codes and its one-line errors.

Exit codes: 0 done, 1 the job failed, 2 an option is wrong, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pypeln._version import __version__
from pypeln.platforms import usable_cpus

DEFAULT_FILES = 400  # some seconds of parsing on two cores


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the option, without the usage in front."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {_one_line(message)} (see {self.prog} --help)\n")


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return number


def _database_path(text: str) -> Path:
    from pypeln.demo.database import DatabaseRefused, check_path

    path = Path(text)
    try:
        check_path(path)
    except DatabaseRefused as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from None
    return path


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    # Abbreviated options would become errors, or other options, with the next release that adds one.
    main_parser = _Parser(
        prog="pypeln", description="Concurrent data pipelines on a native engine.", allow_abbrev=False
    )
    main_parser.add_argument("--version", action="version", version=f"pypeln {__version__}")
    commands = main_parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="run a pipeline of threads, tasks and processes over Python's own source files",
        description="Reads source files of this Python installation with threads, fetches some of them over "
        "HTTP with tasks (from a server on 127.0.0.1 that lives as long as the demo), parses them with "
        "processes, stores what they define in an SQLite database, and says what each stage did.",
        allow_abbrev=False,
    )
    demo.add_argument(
        "--files",
        type=_at_least_one,
        default=DEFAULT_FILES,
        metavar="N",
        help="how many source files, spread evenly over the standard library (default: %(default)s)",
    )
    demo.add_argument(
        "--workers",
        type=_at_least_one,
        default=usable_cpus(),
        metavar="N",
        help="processes that parse (default: the CPUs that may be used, here %(default)s)",
    )
    demo.add_argument(
        "--database",
        type=_database_path,
        metavar="PATH",
        help="SQLite database to store into; tables of an earlier demo are replaced "
        "(default: a new temporary file, whose path is printed)",
    )
    demo.add_argument("--quiet", action="store_true", help="print only the path of the database")
    return main_parser, {"demo": demo}


def _show(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has seen enough (`pypeln demo | head -1`). What Python flushes at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run_demo(arguments: argparse.Namespace) -> None:
    from pypeln.demo.job import run_job
    from pypeln.demo.progress import Progress
    from pypeln.demo.report import describe

    with Progress(sys.stderr, "files", shown=not arguments.quiet and sys.stderr.isatty()) as progress:
        outcome = run_job(arguments.files, arguments.workers, arguments.database, progress)
    _show(str(outcome.database) if arguments.quiet else describe(outcome))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `pypeln` command.

    Args:
        argv: The words after `pypeln`; those the process was started with when left out.

    Returns:
        The exit code: 0 done, 1 the job failed, 130 interrupted.

    Raises:
        SystemExit: With code 2 after a wrong option, 0 after `--help` and `--version`.

    Example:
        >>> main(["demo", "--files", "20", "--quiet"])  # doctest: +SKIP
        0
    """
    name = "pypeln"
    try:
        parser, commands = _parsers()
        arguments, unknown = parser.parse_known_args(argv)
        chosen = commands.get(arguments.command, parser)
        name = chosen.prog
        if unknown:
            chosen.error(f"unknown option or argument: {' '.join(unknown)}")
        if arguments.command is None:
            parser.print_help()
            return 0

        from pypeln.demo.errors import DemoError
        from pypeln.errors import PipelineError

        try:
            _run_demo(arguments)
        except (DemoError, PipelineError, OSError, MemoryError, sqlite3.Error) as error:
            print(f"{name}: error: {_one_line(error) or type(error).__name__}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    return 0
