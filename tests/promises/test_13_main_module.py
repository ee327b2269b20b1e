"""Programs of every form run pipelines of every kind: files, `-c`, `-m`, stdin, folders, archives.

Where worker processes import the program, one without `if __name__ == "__main__":` ends with an error that
says what to write.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import zipapp
from pathlib import Path

import pytest

import pypeln

METHODS = multiprocessing.get_all_start_methods()
SPAWNING = [method for method in METHODS if method != "fork"]

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(pypeln.__file__).resolve().parents[1])}

# A watchdog for a program that hangs.
PROGRAM_TIMEOUT_S = 60

# A program whose functions and classes are its own; the last stage is in the program itself.
PIPELINES = """
import multiprocessing
import sys

from pypeln import io, pr, sync, th


class Number:
    def __init__(self, n):
        self.n = n


def wrapped(n):
    return Number(n)


def next_number(number):
    return number.n + 1


async def doubled(n):
    return 2 * n


def run():
    multiprocessing.set_start_method(METHOD)
    stage = pr.map(next_number, th.map(wrapped, range(3)), workers=2)
    print(sorted(sync.map(str, io.map(doubled, stage))))
"""
OUTPUT = "['2', '4', '6']\n"

UNGUARDED = """
import multiprocessing
import sys

from pypeln import pr

if multiprocessing.get_start_method(allow_none=True) is None:
    multiprocessing.set_start_method(METHOD)


def next_number(n):
    return n + 1


print("the program runs", file=sys.stderr)
print(sorted(pr.map(next_number, range(3), workers=2)))
"""

# Has the fork server import the program. It does so by itself from CPython 3.13.1 on; before, it was to, and
# was not told where the program is.
SERVER_IMPORTS = """
from multiprocessing import spawn

def with_path(name, prepared=spawn.get_preparation_data):
    data = prepared(name)
    return data | {"main_path": data["init_main_from_path"]}

spawn.get_preparation_data = with_path
"""

GUARD = 'if __name__ == "__main__":'


def program(text: str, method: str) -> str:
    return textwrap.dedent(text).replace("METHOD", repr(method))


def run(
    *arguments: str, folder: Path, given: str | None = None, rc: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "default", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        input=given,
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
    )
    assert done.returncode == rc, done.stderr
    return done


def test_promise_13_a_file_with_a_guard(tmp_path: Path) -> None:
    for method in METHODS:
        text = program(PIPELINES, method) + f"\n{GUARD}\n    run()\n"
        (tmp_path / "guarded.py").write_text(text)
        done = run("guarded.py", folder=tmp_path)
        assert (done.stdout, done.stderr) == (OUTPUT, "")


@pytest.mark.parametrize("method", METHODS)
def test_promise_13_a_program_that_is_an_argument(method: str, tmp_path: Path) -> None:
    done = run("-c", program(PIPELINES, method) + "run()", folder=tmp_path)
    assert (done.stdout, done.stderr) == (OUTPUT, "")


@pytest.mark.parametrize("method", METHODS)
def test_promise_13_a_program_on_stdin(method: str, tmp_path: Path) -> None:
    given = program(PIPELINES, method) + "run()\nprint(__file__)\n"
    done = run("-", folder=tmp_path, given=given)
    assert (done.stdout, done.stderr) == (OUTPUT + "<stdin>\n", "")


def test_promise_13_a_package_a_folder_and_an_archive(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(program(PIPELINES, "spawn") + "run()\n")
    (package / "__init__.py").write_text("")
    zipapp.create_archive(package, tmp_path / "package.pyz")
    for arguments in (("-m", "package"), ("package",), ("package.pyz",)):
        done = run(*arguments, folder=tmp_path)
        assert (done.stdout, done.stderr) == (OUTPUT, "")


def test_promise_13_a_file_without_a_guard_runs_where_workers_are_forked(tmp_path: Path) -> None:
    if "fork" not in METHODS:
        pytest.skip("this system has no fork")
    (tmp_path / "unguarded.py").write_text(program(UNGUARDED, "fork"))
    done = run("unguarded.py", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("[1, 2, 3]\n", "the program runs\n")


@pytest.mark.parametrize("method", METHODS)
def test_promise_13_a_file_without_a_guard_runs_where_no_worker_is_a_process(
    method: str, tmp_path: Path
) -> None:
    text = """
        import multiprocessing
        import sys

        from pypeln import io, sync, th

        multiprocessing.set_start_method(METHOD)


        async def doubled(n):
            return 2 * n


        print("the program runs", file=sys.stderr)
        for kind in (th, io, sync):
            print(sorted([1, 2] | kind.map(lambda n: n + 1) | kind.filter(bool)))
        print(sorted(sync.map(str, io.map(doubled, th.map(abs, [-1, -2])))))
        """
    (tmp_path / "unguarded.py").write_text(program(text, method))
    done = run("unguarded.py", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("[2, 3]\n" * 3 + "['2', '4']\n", "the program runs\n")


@pytest.mark.parametrize("method", SPAWNING)
@pytest.mark.parametrize("arguments", [("unguarded.py",), ("-m", "unguarded")])
def test_promise_13_a_file_without_a_guard_is_told_what_to_write(
    arguments: tuple[str, ...], method: str, tmp_path: Path
) -> None:
    (tmp_path / "unguarded.py").write_text(program(UNGUARDED, method))
    done = run(*arguments, folder=tmp_path, rc=1)
    assert done.stdout == ""
    # Its workers die without a traceback of their own.
    assert done.stderr.count("refuse_while_imported") == 0
    assert (
        f"the worker processes of map(next_number) import the program before they work, because the start "
        f'method is "{method}"' in done.stderr
    )
    assert f"\n    {GUARD}\n" in done.stderr


@pytest.mark.skipif("forkserver" not in METHODS, reason="this system has no fork server")
def test_promise_13_a_fork_server_that_imports_the_program_is_told_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "unguarded.py").write_text(SERVER_IMPORTS + program(UNGUARDED, "forkserver"))
    done = run("unguarded.py", folder=tmp_path, rc=1)
    assert done.stdout == ""
    assert done.stderr.count("the program runs") == 2
    assert done.stderr.count("Traceback") == 1
    last = done.stderr[done.stderr.rindex("UnguardedMainError: ") :]
    assert last.startswith("UnguardedMainError: the worker processes of map(next_number) import the program")
    assert f"\n    {GUARD}\n" in last


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_restarting_workers_does_not_hide_that_there_is_no_guard(
    method: str, tmp_path: Path
) -> None:
    text = program(UNGUARDED, method).replace("workers=2", "workers=2, on_worker_death='restart'")
    (tmp_path / "unguarded.py").write_text(text)
    done = run("unguarded.py", folder=tmp_path, rc=1)
    assert "UnguardedMainError" in done.stderr
    assert done.stderr.count("the program runs") <= 3  # itself and each of two workers, once


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_a_program_that_cannot_be_imported_twice_is_told_what_to_write(
    method: str, tmp_path: Path
) -> None:
    text = program(UNGUARDED, method).replace(
        "if multiprocessing.get_start_method(allow_none=True) is None:", "if True:"
    )
    (tmp_path / "unguarded.py").write_text(text)
    done = run("unguarded.py", folder=tmp_path, rc=1)
    if done.stderr.count("the program runs") > 1:
        # A fork server has imported it: no context was set there, so that it came to the pipeline.
        assert method == "forkserver"
        assert "UnguardedMainError" in done.stderr, done.stderr
        assert f"\n    {GUARD}\n" in done.stderr
        return
    assert "RuntimeError: context has already been set" in done.stderr, done.stderr
    assert "UnguardedMainError" not in done.stderr, done.stderr
    if sys.version_info >= (3, 11):  # earlier ones do not print notes
        assert f"\n    {GUARD}\n" in done.stderr


@pytest.mark.parametrize("nbytes", [0, 1 << 20], ids=["little is sent", "much is sent"])
@pytest.mark.parametrize(
    "method", [*SPAWNING, *(["importing forkserver"] if "forkserver" in METHODS else [])]
)
def test_promise_13_what_an_import_in_a_worker_dies_of_is_seen(
    method: str, nbytes: int, tmp_path: Path
) -> None:
    """Also when its pipe cannot take all that it is sent before it has imported the program."""
    prelude = SERVER_IMPORTS if method.startswith("importing") else ""
    text = prelude + program(UNGUARDED, method.removeprefix("importing "))
    text = text.replace(
        "def next_number", "if __name__ != '__main__':\n    raise LookupError('its own')\n\n\ndef next_number"
    )
    (tmp_path / "refusing.py").write_text(sending(nbytes, text))
    done = run("refusing.py", folder=tmp_path, rc=1)
    assert done.stdout == ""
    assert done.stderr.count("the program runs") == 1
    assert "\nLookupError: its own\n" in done.stderr
    assert "UnguardedMainError" not in done.stderr
    if method == "spawn" or "in _serve_one" in done.stderr:  # otherwise it is the fork server that has died
        assert "\npypeln.errors.WorkerDied: worker " in done.stderr
    if sys.version_info >= (3, 11):  # earlier ones do not print notes
        assert f"\n    {GUARD}\n" in done.stderr


# A stderr at which two workers meet before each write, so that their pieces alternate.
MEETING = """
import os, sys, time
from multiprocessing import current_process

class Meeting:
    def __init__(self):
        self.writes = 0

    def write(self, text):
        self.writes += 1
        open(f"here.{self.writes}.{os.getpid()}", "w").close()
        while len([name for name in os.listdir() if name.startswith(f"here.{self.writes}.")]) < 2:
            time.sleep(0.001)
        os.write(2, text.encode())

    def flush(self):
        pass

if current_process().name.startswith("pypeln "):
    sys.stderr = Meeting()
"""


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_errors_of_workers_that_die_together_can_be_read(method: str, tmp_path: Path) -> None:
    text = MEETING + program(UNGUARDED, method).replace(
        "def next_number", "if __name__ != '__main__':\n    raise LookupError('its own')\n\n\ndef next_number"
    )
    (tmp_path / "refusing.py").write_text(text)
    done = run("refusing.py", folder=tmp_path, rc=1)
    assert "\nLookupError: its own\n" in done.stderr, done.stderr


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_a_file_without_a_guard_is_told_so_whatever_its_workers_are_sent(
    method: str, tmp_path: Path
) -> None:
    """A worker that ends while it imports the program does not read what it is sent."""
    (tmp_path / "unguarded.py").write_text(sending(1 << 20, program(UNGUARDED, method)))
    done = run("unguarded.py", folder=tmp_path, rc=1)
    last = done.stderr[done.stderr.rindex("Error: ") :]
    assert last.startswith("Error: the worker processes of map(next_number) import the program"), done.stderr
    assert f"\n    {GUARD}\n" in last


def sending(nbytes: int, text: str) -> str:
    """A program of `UNGUARDED` whose function brings so many bytes along."""
    assert "pr.map(next_number" in text
    return text.replace(
        "pr.map(next_number", f"pr.map(__import__('functools').partial(next_number, data=bytes({nbytes}))"
    ).replace("def next_number(n):", "def next_number(n, data):")


def test_promise_13_processes_of_others_are_told_as_well(tmp_path: Path) -> None:
    """A process that the program itself starts imports it too, and may not start pipelines meanwhile."""
    (tmp_path / "others.py").write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            import sys
            from pypeln import UnguardedMainError, pr

            if __name__ != "__main__":
                try:
                    list(pr.map(abs, [1]))
                except UnguardedMainError as error:
                    print(error, flush=True)
                    sys.exit(3)

            {GUARD}
                process = multiprocessing.get_context("spawn").Process(target=print, name="mine")
                process.start()
                process.join()
                print(process.exitcode)
            """
        )
    )
    done = run("others.py", folder=tmp_path)
    assert done.stdout.startswith("the process mine has imported the program that started it")
    assert done.stdout.endswith("\n3\n")
    assert done.stderr == ""


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_a_class_that_would_bring_data_along_is_named(method: str, tmp_path: Path) -> None:
    text = """
        import multiprocessing
        from pypeln import pr

        data = bytes(2 << 20)

        class Slice:
            def read(self):
                return data[:10]

        class Small:
            pass

        def known(element):
            return type(element).__name__

        multiprocessing.set_start_method(METHOD)
        print(list(pr.map(known, [Small()])))
        try:
            list(pr.map(known, [Slice()]))
        except Exception as error:
            print(type(error).__name__, error)
        """
    done = run("-c", program(text, method), folder=tmp_path)
    assert done.stdout.startswith(
        "['Small']\nUnpicklingError worker processes do not have the class Slice of"
    )


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_classes_reach_pipelines_inside_of_workers(method: str, tmp_path: Path) -> None:
    text = """
        import multiprocessing
        from pypeln import pr

        class Number:
            def __init__(self, n):
                self.n = n

        def inner(number):
            return Number(number.n + 1)

        def outer(number):
            return list(pr.map(inner, [number]))[0]

        multiprocessing.set_start_method(METHOD)
        (number,) = pr.map(outer, [Number(1)])
        print(number.n, type(number) is Number)
        """
    done = run("-c", program(text, method), folder=tmp_path)
    assert (done.stdout, done.stderr) == ("2 True\n", "")


@pytest.mark.parametrize("method", SPAWNING)
def test_promise_13_an_error_in_a_class_of_the_program_shows_where_it_was_raised(
    method: str, tmp_path: Path
) -> None:
    text = """
        import multiprocessing
        from pypeln import pr

        class Number:
            def refuse(self):
                raise LookupError("this one")

        def call(number):
            number.refuse()

        multiprocessing.set_start_method(METHOD)
        list(pr.map(call, [Number()]))
        """
    done = run("-c", program(text, method), folder=tmp_path, rc=1)
    assert 'File "<string>", line 7, in refuse' in done.stderr
    assert "LookupError: this one" in done.stderr
