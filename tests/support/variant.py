"""pypeln built otherwise than it is shipped, into a folder of its own, for commands that test that."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def add_build_option(parser: argparse.ArgumentParser) -> None:
    """The option of a command that calls `install_variant`."""
    parser.add_argument(
        "--build-dir",
        type=Path,
        help="go on in this build folder of pip: what Cython has made is used again; needs the packages that "
        "pyproject.toml wants for a build",
    )


def install_variant(folder: Path, build_dir: Path | None, **defines: str) -> None:
    """Build the sources, and install them into a folder.

    Not optimized: the compiler would take longer for it than a short test gains.

    Args:
        folder: Where the package is to be.
        build_dir: Where to build; None for a folder of pip's own, which builds everything.
        defines: Options of CMakeLists.txt.

    Raises:
        subprocess.CalledProcessError: It does not build.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if build_dir is not None:
        command += ["--no-build-isolation", f"--config-settings=build-dir={build_dir}"]
    command += ["--config-settings=cmake.build-type=Debug"]
    command += [f"--config-settings=cmake.define.{name}={value}" for name, value in defines.items()]
    subprocess.run([*command, "--target", str(folder), str(ROOT)], check=True)
