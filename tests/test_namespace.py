"""Namespaces: values and a lock that threads, tasks and processes share."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import pickle
import signal
import threading
from typing import Any

import pytest

from pypeln import io, pr, sync, th

KINDS = [pr.Namespace, th.Namespace, io.Namespace, sync.Namespace]
START_METHODS = multiprocessing.get_all_start_methods()
WATCHDOG_S = 60


def open_files() -> int:
    """How many descriptors of namespaces this process has."""
    gc.collect()
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += "pypeln-namespace" in os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the listing's own descriptor
            pass
    return count


@pytest.fixture(params=START_METHODS)
def context(request: pytest.FixtureRequest) -> Any:
    return multiprocessing.get_context(request.param)


def finished(process: Any) -> int | None:
    process.join(WATCHDOG_S)
    assert not process.is_alive()
    exitcode: int | None = process.exitcode
    process.close()
    return exitcode


@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_attributes_are_set_read_and_deleted(self, kind: Any) -> None:
        namespace = kind(x=1, y="two")
        namespace.x += 1
        namespace.z = [3]
        assert (namespace.x, namespace.y, namespace.z) == (2, "two", [3])
        del namespace.y
        assert not hasattr(namespace, "y")
        assert repr(namespace) == "Namespace(x=2, z=[3])"

    def test_what_is_not_there_is_an_attribute_error(self, kind: Any) -> None:
        namespace = kind()
        with pytest.raises(AttributeError, match="no attribute 'x'"):
            namespace.x  # noqa: B018
        with pytest.raises(AttributeError, match="no attribute 'x'"):
            del namespace.x

    def test_a_thread_may_nest_it(self, kind: Any) -> None:
        namespace = kind(x=0)
        with namespace as same, namespace:
            assert same is namespace
            namespace.x += 1
        with pytest.raises(RuntimeError, match="not locked by this thread"):
            namespace.__exit__()

    def test_threads_exclude_each_other(self, kind: Any) -> None:
        namespace = kind(x=0)

        def add() -> None:
            for _ in range(100):
                with namespace, namespace:
                    namespace.x += 1

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WATCHDOG_S)
        assert namespace.x == 400

    def test_tasks_exclude_each_other_while_they_wait(self, kind: Any) -> None:
        namespace = kind(x=0)

        async def add() -> None:
            async with namespace as same, namespace:
                assert same is namespace
                seen = namespace.x
                await asyncio.sleep(0)
                namespace.x = seen + 1

        async def main() -> None:
            await asyncio.gather(*(add() for _ in range(50)))

        asyncio.run(main())
        assert namespace.x == 50

    def test_a_task_and_a_thread_exclude_each_other(self, kind: Any) -> None:
        namespace = kind(x=0)

        def add_in_thread() -> None:
            for _ in range(100):
                with namespace:
                    namespace.x += 1

        async def main() -> None:
            other = asyncio.get_running_loop().run_in_executor(None, add_in_thread)
            for _ in range(100):
                async with namespace:
                    seen = namespace.x
                    await asyncio.sleep(0)
                    namespace.x = seen + 1
            await other

        asyncio.run(main())
        assert namespace.x == 200

    def test_a_cancelled_wait_leaves_it_to_the_next(self, kind: Any) -> None:
        namespace = kind()

        async def main() -> None:
            async def take() -> None:
                async with namespace:
                    pass

            async with namespace:
                waiting = [asyncio.create_task(take()) for _ in range(3)]
                await asyncio.sleep(0)
                waiting[0].cancel()
            # Cancelled when it has just become the owner, and has not run since.
            waiting[1].cancel()
            await asyncio.wait_for(waiting[2], WATCHDOG_S)
            assert [task.cancelled() for task in waiting[:2]] == [True, True]

        asyncio.run(main())
        with namespace:
            pass

    def test_blocking_the_loop_that_holds_it_is_an_error_and_no_deadlock(self, kind: Any) -> None:
        namespace = kind()

        async def block() -> None:
            with namespace:
                pass

        async def main() -> None:
            async with namespace:
                with pytest.raises(RuntimeError, match="use `async with namespace`"):
                    await asyncio.create_task(block())

        asyncio.run(main())


@pytest.mark.parametrize("kind", [th.Namespace, io.Namespace, sync.Namespace])
def test_a_local_one_holds_any_object_and_stays_where_it_is(kind: Any) -> None:
    lock = threading.Lock()
    namespace = kind(lock=lock)
    assert namespace.lock is lock
    with pytest.raises(TypeError, match=r"use pypeln.pr.Namespace"):
        pickle.dumps(namespace)


def test_what_is_read_from_a_shared_one_is_a_copy() -> None:
    namespace = pr.Namespace(items=[])
    namespace.items.append(1)
    assert namespace.items == []


def test_what_cannot_be_pickled_is_refused_by_name() -> None:
    namespace = pr.Namespace(x=1)
    with pytest.raises(TypeError, match="attribute 'lock' of the Namespace cannot be shared"):
        namespace.lock = threading.Lock()
    assert repr(namespace) == "Namespace(x=1)"


def test_functions_without_a_name_to_import_are_shared_by_value() -> None:
    bonus = 5
    assert pr.Namespace(f=lambda x: x + bonus).f(1) == 6


def test_values_may_grow_and_shrink() -> None:
    namespace = pr.Namespace()
    for size in (1, 1000, 100_000, 3, 50_000, 0, 200_000):
        namespace.x = "x" * size
        namespace.y = size
        assert len(namespace.x) == namespace.y == size


def test_a_copy_in_the_same_process_shares_values_and_lock() -> None:
    namespace = pr.Namespace(x=1)
    copy = pickle.loads(pickle.dumps(namespace))
    copy.x = 2
    assert namespace.x == 2
    with namespace, copy:
        copy.x = 3
    assert namespace.x == 3


def test_descriptors_are_closed_with_the_last_copy() -> None:
    before = open_files()
    namespace = pr.Namespace(x=1)
    copies = [pickle.loads(pickle.dumps(namespace)) for _ in range(3)]
    assert open_files() == before + 1
    del namespace
    assert copies[0].x == 1
    del copies
    assert open_files() == before


def add_many(namespace: Any, times: int) -> None:
    for _ in range(times):
        with namespace:
            namespace.x += 1


def test_processes_exclude_each_other(context: Any) -> None:
    namespace = pr.Namespace(x=0)
    processes = [context.Process(target=add_many, args=(namespace, 200)) for _ in range(3)]
    for process in processes:
        process.start()
    add_many(namespace, 200)
    assert [finished(process) for process in processes] == [0, 0, 0]
    assert namespace.x == 800


def mark_both(one: Any, same: Any) -> None:
    with one, same:
        one.a = 1
        same.b = 1


def test_copies_of_one_namespace_travel_together(context: Any) -> None:
    namespace = pr.Namespace()
    process = context.Process(target=mark_both, args=(namespace, pickle.loads(pickle.dumps(namespace))))
    process.start()
    assert finished(process) == 0
    assert (namespace.a, namespace.b) == (1, 1)


def set_received(connection: Any) -> None:
    namespace = connection.recv()
    with namespace:
        namespace.x = "seen"
    connection.send("done")


def test_a_namespace_may_be_made_after_the_process_that_gets_it(context: Any) -> None:
    here, there = context.Pipe()
    process = context.Process(target=set_received, args=(there,))
    process.start()
    namespace = pr.Namespace(x=0)
    here.send(namespace)
    assert here.poll(WATCHDOG_S)
    here.recv()
    assert namespace.x == "seen"
    assert finished(process) == 0


def hold_and_wait(namespace: Any, connection: Any) -> None:
    with namespace, namespace:
        connection.send("held")
        connection.recv()


def test_a_killed_process_leaves_nothing_locked(context: Any) -> None:
    namespace = pr.Namespace(x=0)
    here, there = context.Pipe()
    process = context.Process(target=hold_and_wait, args=(namespace, there))
    process.start()
    assert here.poll(WATCHDOG_S)
    here.recv()
    taken = threading.Event()

    def take() -> None:
        with namespace:
            taken.set()

    thread = threading.Thread(target=take)
    thread.start()
    namespace.x = 1  # values are not what `with` guards
    assert not taken.is_set()
    os.kill(process.pid, signal.SIGKILL)
    thread.join(WATCHDOG_S)
    assert taken.is_set()
    assert finished(process) == -signal.SIGKILL


def write_for_ever(namespace: Any, connection: Any) -> None:
    connection.send("begun")
    while True:
        for size in (10, 5000, 100_000):
            namespace.x = "x" * size


def test_a_process_killed_while_it_writes_leaves_whole_values() -> None:
    context = multiprocessing.get_context("fork")
    namespace = pr.Namespace(x="", y="kept")
    for _ in range(20):
        here, there = context.Pipe()
        process = context.Process(target=write_for_ever, args=(namespace, there))
        process.start()
        assert here.poll(WATCHDOG_S)
        here.recv()
        os.kill(process.pid or 0, signal.SIGKILL)
        finished(process)
        assert len(namespace.x) in (0, 10, 5000, 100_000)
        assert namespace.y == "kept"


def test_a_fork_amid_a_locked_block_does_not_take_the_lock_along() -> None:
    context = multiprocessing.get_context("fork")
    namespace = pr.Namespace(x=0)
    with namespace:
        process = context.Process(target=add_many, args=(namespace, 1))
        process.start()
        namespace.x = 10
    assert finished(process) == 0
    assert namespace.x == 11


def send_one_and_end(connection: Any) -> None:
    connection.send(pickle.dumps(pr.Namespace(x=1)))


def test_the_namespace_of_a_process_that_has_ended_cannot_be_found(context: Any) -> None:
    here, there = context.Pipe()
    process = context.Process(target=send_one_and_end, args=(there,))
    process.start()
    assert here.poll(WATCHDOG_S)
    sent = here.recv()
    assert finished(process) == 0
    with pytest.raises(RuntimeError, match=r"process \d+, which sent it, has ended"):
        pickle.loads(sent)


async def hold_across_await(namespace: Any) -> None:
    async with namespace:
        seen = namespace.x
        await asyncio.sleep(0.001)
        namespace.x = seen + 1


def add_in_tasks(namespace: Any, times: int) -> None:
    async def main() -> None:
        await asyncio.gather(*(hold_across_await(namespace) for _ in range(times)))

    asyncio.run(main())


def test_tasks_of_several_processes_exclude_each_other() -> None:
    context = multiprocessing.get_context("fork")
    namespace = pr.Namespace(x=0)
    processes = [context.Process(target=add_in_tasks, args=(namespace, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    assert [finished(process) for process in processes] == [0, 0, 0]
    assert namespace.x == 60
