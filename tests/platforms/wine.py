"""A Windows of its own for one run of the checks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import TracebackType

QUIET = {
    "WINEDEBUG": "-all",
    # What asks for downloads when a prefix is made.
    "WINEDLLOVERRIDES": "mscoree=;mshtml=",
}


class WinePrefix:
    """A wine prefix, gone with all its processes at the end of the `with` block.

    Args:
        folder: Where it is to be.
        wanted: False: there is none, and nothing happens.
    """

    def __init__(self, folder: Path, wanted: bool) -> None:
        self._environment = {"WINEPREFIX": str(folder), **QUIET}
        self._maker: subprocess.Popen[bytes] | None = None
        self._wanted = wanted
        folder.mkdir()

    def __enter__(self) -> WinePrefix:
        if self._wanted:
            self._maker = subprocess.Popen(
                ["wine", "wineboot", "--init"],
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self

    @property
    def environment(self) -> dict[str, str]:
        """What programs in it need to know. Waits until it is made."""
        if self._maker is not None:
            self._maker.wait()
        return self._environment

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._maker is None:
            return
        self._maker.wait()
        for option in ("--kill", "--wait"):
            # It complains when there is none any more.
            subprocess.run(
                ["wineserver", option],
                env={**os.environ, **self._environment},
                check=False,
                stderr=subprocess.DEVNULL,
            )
