"""The C core on platforms that are not here: compiled with its tests by zig, and run where something can.

    python tests/platforms/run.py                     every platform
    python tests/platforms/run.py windows-x86_64      one of them, or some
    python tests/platforms/run.py --modules           also what Cython makes of each module, as far as C goes
    python tests/platforms/run.py --package           also the whole package on aarch64 Linux

Needs cmake, ninja and `ziglang` from PyPI; `qemu-user` and `wine` from Debian run what it compiles. What they
cannot run is in targets.py, with the reason. A platform that nothing runs is compiled and linked only. The
first run compiles C libraries as well, which zig keeps in its cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from modules import check_modules
from package import check_package
from targets import NOT_RUN, TARGETS, Target
from wine import WinePrefix
from zig import write_toolchain

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", metavar="PLATFORM", help=", ".join(t.name for t in TARGETS))
    parser.add_argument("--modules", action="store_true", help="also the modules, as C")
    parser.add_argument("--package", action="store_true", help="also the package in a Python for aarch64")
    parser.add_argument("--compile-only", action="store_true", help="run nothing")
    options = parser.parse_args()
    unknown = set(options.targets) - {target.name for target in TARGETS}
    if unknown:
        parser.error(f"there is no platform {', '.join(sorted(unknown))}")
    chosen = [target for target in TARGETS if not options.targets or target.name in options.targets]
    with tempfile.TemporaryDirectory(prefix="platforms-") as name:
        folder = Path(name)
        with_wine = not options.compile_only and any(target.runner == "wine" for target in chosen)
        # Made while others compile.
        with WinePrefix(folder / "wine", with_wine and shutil.which("wine") is not None) as wine:
            failures = 0
            for target in sorted(chosen, key=lambda target: target.runner == "wine"):
                failures += not check(target, folder, wine, options)
        if options.package:
            failures += not check_package(folder)
    total = len(chosen) + options.package
    print(f"platforms: {total - failures} of {total} passed")
    return 1 if failures else 0


def check(target: Target, folder: Path, wine: WinePrefix, options: argparse.Namespace) -> bool:
    """Compile for a platform, and run what can be run; whether all of that went well."""
    began = time.monotonic()
    toolchain = write_toolchain(folder, target)
    build = folder / f"build-{target.name}"
    runner = None if options.compile_only or target.runner is None else target.runner
    runs = runner == "" or (runner is not None and shutil.which(runner) is not None)
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", "--toolchain", str(toolchain)]
    configure += ["-DPYPELN_MODULES=OFF", "-DPYPELN_TESTS=ON", "-DPYPELN_WERROR=ON"]
    if runs and runner:
        configure.append(f"-DCMAKE_CROSSCOMPILING_EMULATOR={shutil.which(runner)}")
    # ctest takes its expression as one text: what is not run is joined.
    left_out = "|".join(NOT_RUN.get(target.name, {}))
    steps = [("configured", configure, {}), ("compiled", ["cmake", "--build", str(build)], {})]
    if runs:
        test = ["ctest", "--test-dir", str(build), "--output-on-failure", "-j2"]
        variables = wine.environment if target.runner == "wine" else {}
        steps.append(("tested", [*test, "--exclude-regex", left_out] if left_out else test, variables))
    for done, command, variables in steps:
        result = subprocess.run(
            command,
            env={**os.environ, **variables},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if result.returncode != 0:
            print(f"{target.name}: not {done}\n{result.stdout}", flush=True)
            return False
        if done == "tested":
            print("\n".join(f"    {line.strip()}" for line in result.stdout.splitlines() if "Passed" in line))
    said = "compiled and run" if runs else "compiled"
    if not runs:
        said += f"; {target.runner} is not installed" if target.runner else "; nothing here runs it"
    if options.modules and not check_modules(target, folder, toolchain):
        return False
    print(f"{target.name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
