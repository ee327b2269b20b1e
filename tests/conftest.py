"""What holds for every test: it ends in time, and leaves nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from support.leaks import Resources
from support.notes import Gate, Journal
from support.watchdog import Watchdog

WATCHDOG_S = float(os.environ.get("PYPELN_TEST_WATCHDOG_S", "120"))

WATCHDOG_KEY = pytest.StashKey[Watchdog]()
REPORT_KEY = pytest.StashKey[pytest.TestReport]()

# A slow machine is no error.
hypothesis.settings.register_profile("pypeln", deadline=None, print_blob=True)
hypothesis.settings.load_profile("pypeln")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"watchdog(seconds): end the test run when this test takes longer ({WATCHDOG_S:g})"
    )
    config.addinivalue_line(
        "markers", "may_leak: do not look for what this test leaves behind; say why in a comment"
    )
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has what it starts in the background ignore Ctrl-C, and so would every program of the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))  # the watchdog's SIGABRT need not leave gigabytes
    config.stash[WATCHDOG_KEY] = Watchdog()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[WATCHDOG_KEY].close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    marker = item.get_closest_marker("watchdog")
    watchdog = item.config.stash[WATCHDOG_KEY]
    watchdog.arm(marker.args[0] if marker else WATCHDOG_S, item.nodeid)
    yield
    watchdog.disarm()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[REPORT_KEY] = report


@pytest.fixture(scope="session", autouse=True)
def lasting_helpers() -> None:
    """Start what multiprocessing keeps until the interpreter ends, so that it is no test's leak."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver, resource_tracker

        resource_tracker.ensure_running()
        forkserver.ensure_running()


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest, lasting_helpers: None) -> Iterator[None]:
    """Fail a test that leaves a process, a thread, a descriptor or shared memory behind."""
    before = Resources([request.config.stash[WATCHDOG_KEY].pid])
    yield
    report = request.node.stash.get(REPORT_KEY, None)
    failed = report is None or report.failed  # its traceback holds whatever it had in its hands
    if failed or request.node.get_closest_marker("may_leak"):
        before.kill_new_processes()
        return
    request.node.funcargs.clear()  # every other fixture has ended, but pytest still holds what it returned
    left = before.left_since()
    if left:
        before.kill_new_processes()
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def journal(tmp_path: Any) -> Journal:
    """Where the functions under test write what they did."""
    return Journal(tmp_path / "journal")


@pytest.fixture
def gate(tmp_path: Any) -> Iterator[Gate]:
    """What holds the functions under test until the test lets them go. Opened at the end in any case."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.close()
