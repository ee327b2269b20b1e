"""What Cython makes of each module, looked at by the C compilers of other platforms.

A check of syntax and types, and no more: there is no Python for these platforms here. The headers are those
of the Python that runs this. Its `pyconfig.h` is right for other systems of 64 bits, as far as sizes go. For
Windows there is one beside this file, which says what those headers have to know there.
"""

from __future__ import annotations

import functools
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from targets import Target

ROOT = Path(__file__).resolve().parents[2]

# numpy's headers are made for the system that it was built on: what they include, and how long a long is.
NEED_NUMPY = ("arrays", "allocator")


@functools.cache
def generated(folder: Path) -> dict[str, Path]:
    """The C of each module, by its name."""
    found = {}
    for source in sorted((ROOT / "pypeln" / "_core").glob("*.pyx")):
        found[source.stem] = folder / f"{source.stem}.c"

    def generate(name: str) -> None:
        command = [sys.executable, "-m", "cython", "-3", "--module-name", f"pypeln._core.{name}"]
        command += ["-I", str(ROOT), "-o", str(found[name]), str(ROOT / "pypeln" / "_core" / f"{name}.pyx")]
        subprocess.run(command, check=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(generate, found))
    return found


def check_modules(target: Target, folder: Path, toolchain: Path) -> bool:
    """Whether a platform's compiler takes all of them."""
    compiler = toolchain.with_name(f"{target.name}-cc")
    # Not -fsyntax-only, which zig does not know.
    options = ["-c", "-O0", "-o", str(folder / "module.o"), "-std=c11", "-I", str(ROOT / "src_c")]
    options.append("-Werror=incompatible-pointer-types")
    if target.system == "Windows":
        options += ["-include", str(Path(__file__).parent / "windows" / "pyconfig.h")]
    options += ["-I", sysconfig.get_paths()["include"]]
    good = True
    left_out = []
    for name, source in generated(folder).items():
        more: list[str] = []
        if name in NEED_NUMPY:
            if target.system != "Linux":
                left_out.append(name)
                continue
            import numpy

            more = ["-I", numpy.get_include(), "-DNPY_NO_DEPRECATED_API=NPY_1_23_API_VERSION"]
        command = [str(compiler), *options, *more, str(source)]
        result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            print(f"{target.name}: {name} is not C there\n{result.stdout[:4000]}", flush=True)
            good = False
    if left_out:
        print(f"{target.name}: left out for want of numpy's headers for it: {', '.join(left_out)}")
    return good
