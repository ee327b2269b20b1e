"""What the checks of models and of memory orders share: a change of a source, and tools from Debian."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def changed(text: str, old: str, new: str, where: str) -> str:
    """`text` with its one `old` replaced; an error when there is none or more: no change goes stale."""
    if text.count(old) != 1:
        raise ValueError(f"{where}: {text.count(old)} times instead of once: {old!r}")
    return text.replace(old, new)


def install(package: str, file: str) -> None:
    """See to it that `file`, a program or a path, is there: by apt-get when it is not and we are root."""
    if shutil.which(file) or Path(file).exists():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"this needs {file}: apt-get install {package}, or the package of your system")
    subprocess.run(["apt-get", "install", "-y", "-q", package], check=True, stdout=subprocess.DEVNULL)
