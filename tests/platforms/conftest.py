"""Programs that see a Python as other platforms have it: what exists only on Linux is taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Run before pypeln is imported. The standard library is there by then, and keeps what it has found.
PRETEND = """
import asyncio, concurrent.futures, fcntl, multiprocessing.connection, multiprocessing.forkserver, os
import multiprocessing.popen_fork, multiprocessing.popen_spawn_posix, multiprocessing.resource_tracker
import queue, select, selectors, signal, socket, subprocess, sys, sysconfig, tempfile, threading
import numpy, cloudpickle

sysconfig.get_config_vars()
for module, names in {taken!r}.items():
    for name in names:
        delattr(sys.modules[module], name)
{more}
sys.platform = {platform!r}
"""

FOR_LINUX_ALONE = {
    "os": ("eventfd", "memfd_create", "pidfd_open", "sched_getaffinity"),
    "fcntl": ("F_SETSIG",),
    "signal": ("SIGRTMAX", "SIGRTMIN"),
}
NOT_ON_WINDOWS = {
    **FOR_LINUX_ALONE,
    "os": (*FOR_LINUX_ALONE["os"], "fork", "register_at_fork", "set_blocking", "sysconf", "pread", "pwrite"),
    "fcntl": (),
    "select": ("poll", "epoll"),
    "signal": (*FOR_LINUX_ALONE["signal"], "SIGKILL", "SIGUSR1", "SIGUSR2", "pthread_sigmask"),
}

# A kqueue that knows the end of one process, which is all that is asked of it.
KQUEUE = """
from os import pidfd_open
class kqueue:
    def __init__(self):
        self.fd = -1
    def control(self, events, most):
        (pid, what, flags, which), = events
        assert (what, flags, which) == (-5, 1, 1 << 31) and most == 0
        self.fd = pidfd_open(pid)
        return []
    def fileno(self):
        return self.fd
    def close(self):
        os.close(self.fd)
"""
# These programs have no guard, and from Python 3.14 on the default would import them again.
KQUEUE_NAMES = """
multiprocessing.set_start_method("fork")
select.kqueue, select.kevent = kqueue, lambda *event: event
select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT = -5, 1, 1 << 31
"""

Runner = Callable[[str, str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_as(tmp_path: Path) -> Runner:
    """Run a program as on "macos" or on "windows"."""

    def run(platform: str, body: str) -> subprocess.CompletedProcess[str]:
        if platform == "macos":
            before = (
                "import os"
                + KQUEUE
                + PRETEND.format(taken=FOR_LINUX_ALONE, more=KQUEUE_NAMES, platform="darwin")
            )
        else:
            no_fcntl = "sys.modules['fcntl'] = None"
            before = PRETEND.format(taken=NOT_ON_WINDOWS, more=no_fcntl, platform="win32")
        program = tmp_path / "program.py"
        program.write_text(f"{before}\nfrom pypeln import io, pr, sync, th\nimport pypeln as pl\n{body}")
        return subprocess.run(
            [sys.executable, str(program)],
            env={**os.environ, "PYTHONPATH": str(ROOT)} if "PYTHONPATH" in os.environ else None,
            text=True,
            capture_output=True,
            timeout=100,
        )

    return run
