"""Pipelines of every kind run in a Jupyter kernel, with functions and classes of the notebook."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
from support.markdown import ENVIRONMENT

# The `docs` extra brings a kernel. Who has not installed it runs no notebook; .ci/run has.
nbformat = pytest.importorskip("nbformat", reason="the `docs` extra is not installed")
pytest.importorskip("ipykernel", reason="the `docs` extra is not installed")

CELL_TIMEOUT_S = 60  # a watchdog

# Cells, each with what it shows.
CELLS = (
    ("import multiprocessing, threading, time, _thread\nfrom pypeln import io, pr, sync, th", ""),
    ("multiprocessing.set_start_method(METHOD)", ""),
    (
        """
class Number:
    def __init__(self, n):
        self.n = n

def wrapped(n):
    return Number(n)

def next_number(number):
    return number.n + 1
""",
        "",
    ),
    (
        """
for kind in (pr, th, io, sync):
    print(sorted([1, 2] | kind.map(wrapped) | kind.map(next_number)))
""",
        "[2, 3]\n" * 4,
    ),
    ("print(sorted(pr.map(next_number, io.map(wrapped, th.map(lambda n: -n, [1, 2])))))", "[-1, 0]\n"),
    # A notebook has a running event loop, in which a cell may await.
    ("print(await io.map(next_number, [Number(1)]))", "[2]\n"),
    ("print([number.n async for number in io.map(wrapped, pr.map(abs, [-3]))])", "[3]\n"),
    # The class changes with its cell, and the workers have the new one.
    (
        """
class Number:
    def __init__(self, n):
        self.n = 10 * n

print(list([1] | pr.map(wrapped) | pr.map(next_number)))
""",
        "[11]\n",
    ),
    (
        """
def refuses(n):
    raise ValueError(n)

try:
    list(pr.map(refuses, [1]))
except ValueError as error:
    print(repr(error))
""",
        "ValueError(1)\n",
    ),
    # A worker that dies is replaced by one that has the functions of the notebook as well.
    (
        """
import os, signal

def dies_once(number):
    if not died.yes:
        died.yes = True
        os.kill(os.getpid(), signal.SIGKILL)
    return Number(number.n)

died = pr.Namespace(yes=False)
stage = pr.map(dies_once, [Number(1)], on_worker_death="restart") | pr.map(next_number)
print(list(stage), stage.pipeline_stats()[1].restarts)
""",
        "[101] 1\n",
    ),
    (
        """
import numpy as np

def halves(a):
    return {"first": a[: len(a) // 2], "second": a[len(a) // 2 :] * 2}

stage = [np.ones(20_000)] | pr.map(halves) | pr.map(lambda parts: parts["second"])
print([float(a.sum()) for a in stage], [each.copied.count for each in stage.memory_stats()])
""",
        "[20000.0] [1, 0, 0]\n",
    ),
    # The stop button: an interrupt of the kernel.
    (
        """
begun = pr.Namespace(yes=False)

def sleeps(n):
    begun.yes = True
    time.sleep(1000)

def press_stop():
    while not begun.yes:
        time.sleep(0.01)
    _thread.interrupt_main()

threading.Thread(target=press_stop).start()
try:
    list(pr.map(sleeps, [1]))
except KeyboardInterrupt:
    print("stopped,", len(multiprocessing.active_children()), "processes left")
""",
        "stopped, 0 processes left\n",
    ),
)


# In a process of its own, because a client leaves an event loop to the process it was in.
CLIENT = f"""
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout={CELL_TIMEOUT_S}).execute()
nbformat.write(notebook, sys.argv[1])
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pipelines_of_every_kind_run_in_a_kernel(method: str, tmp_path: Path) -> None:
    path = tmp_path / "pipelines.ipynb"
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code.replace("METHOD", repr(method))) for code, _ in CELLS]
    nbformat.write(notebook, path)
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(path)],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=3 * CELL_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(path, as_version=4).cells
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in cells]
    assert shown == [expected for _, expected in CELLS]
