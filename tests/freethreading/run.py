"""The tests on a free-threaded CPython, with the GIL off.

    python tests/freethreading/run.py           the tests of the core, of threads and of transports
    python tests/freethreading/run.py --full    the whole suite
    python tests/freethreading/run.py --python /usr/bin/python3.14t

Without --python the interpreter is built from Debian's source package, once: see build_python.sh. pypeln is
built for it and installed into an environment of its own; nothing may switch the GIL on. What has no state
that tests share runs a second time with each test in several threads at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(__file__).with_name("build_python.sh")

SHORT = ["tests/freethreading", "tests/core", "tests/transport", "tests/run"]
# Tests of functions: their threads share what the fixtures made and the values of the parameters.
PARALLEL = ["tests/core/test_codec.py", "tests/core/test_rings.py"]
# A process that is forked while another thread writes to a stream waits for ever for the stream's lock.
# And a value that several threads encode at once may go to pickle: its parts have more references. doctest
# changes linecache for all threads.
AT_ONCE = "not processes and not dead and not natively and not examples"
THREADS = "4"
NEEDED = ["aiohttp", "hypothesis", "pillow", "pytest", "pytest-run-parallel", "typing-extensions"]
# What they do has nothing to do with the GIL, and tools for it come with the others' environments.
LEFT_OUT = ["tests/operators/test_typing.py", "tests/docs", "tests/benchmarks"]


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="the whole suite")
    parser.add_argument("--python", metavar="PYTHON", help="a free-threaded interpreter")
    options = parser.parse_args()
    python = options.python
    if python is None:
        built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=True)
        python = built.stdout.strip()
    folder = tempfile.mkdtemp(prefix="pypeln-freethreaded-")
    try:
        subprocess.run([python, "-m", "venv", folder], check=True)
        python = f"{folder}/bin/python"
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--prefer-binary"]
        subprocess.run([*pip, str(ROOT), *NEEDED], check=True)
        environment = {
            **os.environ,
            "PYTHON_GIL": "0",
            "PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}",
        }
        environment.pop("PYTHONPATH", None)
        # Not `-m pytest`: that would find the package in the source tree, which is not built.
        pytest = [f"{folder}/bin/pytest", "-q", "-p", "no:cacheprovider"]
        chosen = ["tests"] if options.full else SHORT
        chosen += [f"--ignore={path}" for path in LEFT_OUT]
        failed = subprocess.run([*pytest, *chosen], cwd=ROOT, env=environment, check=False).returncode
        parallel = [*pytest, f"--parallel-threads={THREADS}", "-k", AT_ONCE, *PARALLEL]
        return failed or subprocess.run(parallel, cwd=ROOT, env=environment, check=False).returncode
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
