"""What is being measured and on what: packages, interpreter and machine, and that they are the right ones."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

# Whose versions a report names, where they are installed: by the names that are imported.
PACKAGES = (
    "pypeln",
    "numpy",
    "aiohttp",
    "aiometer",
    "faster_fifo",
    "joblib",
    "loky",
    "mpire",
    "pyper",
    "streamable",
    "torch",
    "uvloop",
)
# What an installer calls a package, where that is something else.
DISTRIBUTIONS = {"faster_fifo": "faster-fifo", "pyper": "python-pyper"}


class UnfitPackage(Exception):
    """The package under test is not an installed copy, so its timings would not be a user's."""


def require_installed(package: str) -> None:
    """Check that `package` would be imported from site-packages and is not an editable install.

    An editable install may rebuild when imported and shadows what a wheel contains.

    Raises:
        UnfitPackage: when it is not there or lies elsewhere; the message says where and what to do.
    """
    advice = f"install a copy for {sys.executable}: pip install ."
    # Found, not imported: editable finders answer here too, and it costs nothing that is measured later.
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UnfitPackage(f"{package} is not there; {advice}")
    place = Path(found.origin).resolve()
    if not any(place.is_relative_to(site) for site in site_packages()):
        raise UnfitPackage(
            f"{package} would be imported from {place.parent}, which is not installed; {advice}"
        )
    try:
        origin = metadata.distribution(package).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        raise UnfitPackage(f"{place.parent} was not put there by an installer; {advice}") from None
    if origin and json.loads(origin).get("dir_info", {}).get("editable"):
        raise UnfitPackage(f"{package} is an editable install; {advice}")


def site_packages() -> set[Path]:
    """The folders in which this interpreter's installed packages lie."""
    return {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}


def describe_interpreter() -> dict[str, object]:
    """Return this interpreter's version and those of the packages that matter, None where not installed."""
    packages: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            packages[package] = metadata.version(DISTRIBUTIONS.get(package, package))
        except metadata.PackageNotFoundError:
            packages[package] = None
    unfit = None
    try:
        require_installed("pypeln")
    except UnfitPackage as error:
        unfit = str(error)
    return {
        "executable": sys.executable,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": packages,
        "unfit": unfit,
    }


def describe_machine() -> dict[str, Any]:
    """Return the machine's processor, usable cores, system and present load."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "platform": _platform(),
        # Other work on the machine makes every figure doubtful, so a report shows it.
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _platform() -> str:
    # A release has more parts than these, which name somebody's build of the system.
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    return " ".join([platform.system(), release, platform.machine(), *platform.libc_ver()]).strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
