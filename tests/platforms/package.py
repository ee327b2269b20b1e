"""The package on another processor: its modules compiled by zig, the smoke test of the wheels run by qemu.

The Python for that processor comes from Debian (tests/wheel/fetch_python.sh), what pypeln depends on from
PyPI. The C library that is compiled for is the oldest that the wheels promise to run on.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modules import NEED_NUMPY, ROOT, generated
from targets import Target
from zig import write_toolchain

VERSION = "3.13"
AARCH64 = Target("linux-aarch64-glibc", "aarch64-linux-gnu.2.28", "Linux", "aarch64", "qemu-aarch64")
SUFFIX = ".cpython-313-aarch64-linux-gnu.so"
# pip takes each name by itself, and none that it implies.
TAGS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")

FETCH = ROOT / "tests" / "wheel" / "fetch_python.sh"
SMOKE = ROOT / "tests" / "wheel" / "smoke.py"


def check_package(folder: Path) -> bool:
    """Whether pypeln does on aarch64 what the smoke test asks for; says so."""
    if shutil.which(str(AARCH64.runner)) is None:
        print(f"package on {AARCH64.name}: not tried; {AARCH64.runner} is not installed")
        return True
    fetched = subprocess.run([FETCH, VERSION, "arm64"], stdout=subprocess.PIPE, text=True, check=True)
    python = Path(fetched.stdout.strip())
    site = folder / "site"
    install_dependencies(site)
    install_package(site, python.parents[1] / "include" / f"python{VERSION}", folder)
    result = subprocess.run(
        [str(AARCH64.runner), python, "-W", "error", SMOKE],
        cwd=folder,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    print("\n".join(f"    {line}" for line in result.stdout.splitlines()))
    print(f"package on {AARCH64.name}: {'failed' if result.returncode else 'compiled and run'}", flush=True)
    return result.returncode == 0


def install_dependencies(site: Path) -> None:
    """Put what pypeln depends on into a folder, as it is for that Python and processor."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "install",
        "--no-compile",
    ]
    command += ["--target", str(site), "--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", VERSION, "--abi", f"cp{VERSION.replace('.', '')}", "--abi", "none"]
    command += [word for tag in TAGS for word in ("--platform", tag)]
    subprocess.run([*command, "numpy", "cloudpickle"], check=True)


def install_package(site: Path, headers: Path, folder: Path) -> None:
    """Put pypeln beside them, with its modules compiled against the headers of that Python."""
    compiler = write_toolchain(folder, AARCH64).with_name(f"{AARCH64.name}-cc")
    options = [
        "-std=c11",
        "-O2",
        "-fPIC",
        "-fvisibility=hidden",
        "-D_DEFAULT_SOURCE",
        "-I",
        str(ROOT / "src_c"),
    ]
    options += ["-I", str(headers), "-DNPY_TARGET_VERSION=NPY_1_23_API_VERSION"]
    options += ["-DNPY_NO_DEPRECATED_API=NPY_1_23_API_VERSION"]
    core = folder / "core.o"
    sources = [str(path) for path in sorted((ROOT / "src_c").glob("*.c"))]
    subprocess.run([compiler, *options, "-r", "-o", core, *sources], check=True)
    left_out = shutil.ignore_patterns("*.pyx", "*.pxd", "*.so", "__pycache__")
    shutil.copytree(ROOT / "pypeln", site / "pypeln", ignore=left_out)

    def build(name: str, source: Path) -> None:
        numpy = ["-I", str(site / "numpy" / "_core" / "include")] if name in NEED_NUMPY else []
        made = site / "pypeln" / "_core" / f"{name}{SUFFIX}"
        subprocess.run([compiler, *options, *numpy, "-shared", "-o", made, source, core], check=True)

    found = generated(folder)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(build, found, found.values()))
