"""The compiled modules under AddressSanitizer and UndefinedBehaviorSanitizer.

    python tests/sanitizers/run.py            the tests of the core, and some of workers and deaths
    python tests/sanitizers/run.py --core     only those of the core, which run in one process
    python tests/sanitizers/run.py --full     all that do not look for leaked memory themselves
    python tests/sanitizers/run.py --fuzz 60  no tests: the fuzzers of tests/fuzz, for so many seconds each

Builds pypeln with the sanitizers into a folder of its own. The interpreter is not instrumented, so their
library is loaded before it, and Python takes each object from malloc, where the sanitizer sees it. Leaks are
not looked for: an interpreter that ends gives back little of what it has.

Needs gcc on Linux, pip, and what the tests need.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.variant import add_build_option, install_variant

ROOT = Path(__file__).resolve().parents[2]
# A small quarantine: each fork copies the tables of its memory, and what is freed here is soon used again.
ADDRESS_OPTIONS = ":".join(
    [
        "detect_leaks=0",
        "abort_on_error=1",
        "handle_segv=0",
        "detect_stack_use_after_return=0",
        "quarantine_size_mb=32",
    ]
)
# A process starts ten times more slowly, and the tests of restart start hundreds.
WATCHDOG_S = "900"
CORE = ["tests/core"]
SHORT = [
    *CORE,
    "tests/arrays",
    "tests/transport/test_event_loop_ports.py",
    "tests/conformance/test_big_elements.py",
    "tests/conformance/test_operators.py",
    "tests/faults/test_error_policies.py",
    "tests/promises/test_04_restart.py",
    "tests/promises/test_15_trust.py",
]
FULL = [
    "tests/core",
    "tests/arrays",
    "tests/transport",
    "tests/conformance",
    "tests/faults",
    "tests/promises",
    "tests/run",
]
FUZZED = ["payload", "arena", "report"]
# What they judge is the memory of the process, most of which is the sanitizer's here.
LEFT_OUT = ["tests/promises/test_08_no_leaks.py", "tests/promises/test_09_memory.py"]


def library(name: str) -> str:
    """Where the compiler has a library."""
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core", action="store_true", help="only the tests of the core")
    parser.add_argument("--full", action="store_true", help="nearly the whole suite")
    parser.add_argument("--fuzz", type=float, metavar="SECONDS", help="damaged payloads and memory instead")
    add_build_option(parser)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="sanitized-")
    try:
        if options.build_dir is None:
            os.environ["CC"] = "gcc"  # in a folder that is there, another compiler would begin anew
        install_variant(
            Path(folder), options.build_dir, PYPELN_SANITIZE="address,undefined", PYPELN_FAULT_POINTS="OFF"
        )
        testing = {
            **os.environ,
            "PYTHONPATH": folder,
            "PYTHONMALLOC": "malloc",
            "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
            "ASAN_OPTIONS": ADDRESS_OPTIONS,
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "PYPELN_TEST_WATCHDOG_S": WATCHDOG_S,
        }
        if options.fuzz is not None:
            fuzz = [sys.executable, "tests/fuzz/run.py", "--seconds", str(options.fuzz), "--target"]
            return max(subprocess.run([*fuzz, each], cwd=ROOT, env=testing).returncode for each in FUZZED)
        tests = FULL if options.full else CORE if options.core else SHORT
        left_out = [f"--ignore={path}" for path in LEFT_OUT]
        run = [sys.executable, "-P", "-m", "pytest"] if sys.version_info >= (3, 11) else ["pytest"]
        return subprocess.run([*run, "-q", *left_out, *tests], cwd=ROOT, env=testing).returncode
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
