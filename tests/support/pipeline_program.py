"""Programs that run one pipeline, and say what its functions do."""

from __future__ import annotations

from pathlib import Path

from support.program import Program

# `asleep` and its like say where they are and then take for ever.
HEAD = """
import asyncio, itertools, multiprocessing, os, signal, sys, threading, time
from pypeln import io, pr, sync, th

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def asleep(x):
    say("in f", os.getpid())
    time.sleep(1000)

def naps(x):
    say("in f", os.getpid())
    while True:
        time.sleep(0.01)

async def asleep_async(x):
    say("in f", os.getpid())
    await asyncio.sleep(1000)

def same(x):
    return x

def main(method):
    multiprocessing.set_start_method(method)
    {body}

if __name__ == "__main__":
    main({method!r})
"""

# The pipeline, and how many of its functions say that they have been called.
PIPELINES = {
    "processes": ("pr.map(asleep, range(10), workers=2)", 2),
    "processes behind a slow source": ("pr.map(same, map(naps, range(10)), workers=2)", 1),
    "threads": ("th.map(naps, range(10), workers=2)", 2),
    "tasks": ("io.map(asleep_async, range(10), workers=2)", 2),
    "sync": ("sync.map(asleep, range(10))", 1),
    "mixed": ("th.map(same, io.map(asleep_async, pr.map(same, th.map(same, range(10))), workers=1))", 1),
    "ordered": ("pr.ordered(pr.map(asleep, range(10), workers=2))", 2),
}


def pipeline_program(folder: Path, body: str, method: str = "fork") -> Program:
    """Start a program whose main function is HEAD's, with this body."""
    indented = "\n    ".join(body.strip().splitlines())
    return Program(folder, HEAD.format(body=indented, method=method))
