"""What a run does without the calls that only Linux has: pipes for bells, a kqueue for deaths.

The kernel is still Linux and the C core is Linux's; what is tried here is the Python side.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

Runner = Callable[[str, str], "subprocess.CompletedProcess[str]"]

BODIES = {
    "stages of all kinds": """
        squares = pr.map(lambda x: x * x, range(1000), workers=2)
        shifted = io.map(lambda x: x + 1, squares, workers=3)
        assert sorted(th.map(lambda x: x - 1, shifted)) == sorted(x * x for x in range(1000))
    """,
    "a loop between processes": """
        squares = io.map(lambda x: x * x, pr.map(lambda x: x, range(1000)))
        assert sorted(pr.map(lambda x: x, squares)) == sorted(x * x for x in range(1000))
    """,
    "a worker that is killed": """
        def f(x):
            if x == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return x
        try:
            list(pr.map(f, range(10)))
        except pl.WorkerDied as error:
            assert error.exitcode == -signal.SIGKILL, error
        else:
            raise AssertionError("nobody died")
    """,
    "a worker that is replaced": """
        from pathlib import Path
        marker = Path(tempfile.mkdtemp()) / "died"
        def f(x):
            if x == 5 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return x
        stage = pr.map(f, range(10), on_worker_death="restart", retries=1)
        assert sorted(stage) == list(range(10))
    """,
    "a queue between processes": """
        queue = pr.IterableQueue()
        def put():
            for n in range(100):
                queue.put(n)
            queue.close()
        child = multiprocessing.get_context("fork").Process(target=put)
        child.start()
        assert sorted(queue) == list(range(100))
        child.join()
    """,
    "a namespace": """
        namespace = pr.Namespace(x=0)
        def f(x):
            with namespace:
                namespace.x += x
        pr.each(f, range(10), workers=2, run=True)
        assert namespace.x == 45
    """,
}


@pytest.mark.parametrize("what", BODIES)
def test_without_linux_calls_a_run_does_the_same(what: str, run_as: Runner) -> None:
    body = "\n".join(line.removeprefix("    " * 2) for line in BODIES[what].splitlines())
    result = run_as("macos", body + "\nprint('done')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
