"""How the task host feeds a pipeline: async iterables, containers, and iterables that may block.

An async iterable is iterated in the loop. So is a container of the language itself, because it never makes
anybody wait. Whatever else is iterable may block in `next()`, which would stop the whole loop, so a thread
iterates it.

That thread takes nothing from its iterable before the loop has granted it: as many elements as the queues
behind the source have room for. So `maxsize` bounds what is taken from a generator as exactly as it bounds
the queue. It wakes the loop only when the loop waits, and a loop that has been given a lot looks again a
millisecond later without being woken: a wake for each element would cost both sides more than the element (a
GIL hand-over each way).

Failure modes: a thread that is stuck in `next()` when the run ends is waited for a second, then named in a
warning and left behind, a daemon that ends with its `next()`. When the loop is dropped without a word, the
thread finds out at its next element.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import warnings
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pypeln._core.feeder import SOURCE_END, UNTRACKED
from pypeln.element import Element
from pypeln.run.numbering import as_element, close_generator
from pypeln.run.task_worker import QUANTUM_S
from pypeln.transport.event_loop import ELEMENT, Entry

if TYPE_CHECKING:
    from pypeln.run.task_host import StageInHost

# Iterating these cannot block. Exact types: a subclass may do anything in __iter__.
CONTAINERS: Final = frozenset(
    {list, tuple, range, dict, set, frozenset, str, bytes, bytearray, deque}
    | {type({}.keys()), type({}.values()), type({}.items())}
)

NAP_S: Final = 0.001  # the longest that an element is delayed so that more come with it
NAP_FROM: Final = 64  # granted elements; fewer are used up long before a nap ends
JOIN_S: Final = 0.9  # less than task_host.GRACE_S, so that the thread is named and not only its stage


class Source:
    """One feeding stage.

    Args:
        stage: The stage; `plan.source` is what to iterate.
    """

    def __init__(self, stage: StageInHost) -> None:
        self._stage = stage
        self._window = stage.host.run.window(stage.plan)
        self._position = 0
        self._tracked = True  # the elements have the indices that their positions give them

    async def run(self) -> None:
        """Send every element of the source.

        Raises:
            TypeError: It cannot be iterated.
            ValueError: One of its `Element`s has an index that is none.
            BaseException: Whatever the source raises.
        """
        source = self._stage.plan.source
        if isinstance(source, AsyncIterable):
            await self._iterate_async(source)
        elif type(source) in CONTAINERS:
            await self._iterate(source)
        elif isinstance(source, Iterable) or hasattr(source, "__getitem__"):
            await self._iterate_in_thread()
        else:
            raise TypeError(
                f"stage {self._stage.plan.name}: the source is a {type(source).__name__}, which cannot be "
                "iterated; give an iterable or an async iterable"
            )
        await self._send_end((self._position,), SOURCE_END)

    async def _iterate_async(self, source: AsyncIterable[Any]) -> None:
        iterator = source.__aiter__()
        turn, me = self._stage.host.turn, object()
        try:
            async for value in iterator:
                await self._send(value)
                if turn.is_over(me, QUANTUM_S):
                    await turn.give_way(me, QUANTUM_S)
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    async def _iterate(self, source: Iterable[Any]) -> None:
        # Nothing to watch the time for: the queues behind are bounded, and waiting for room lets others run.
        iterator = iter(source)
        while values := list(islice(iterator, max(self._room(), 1))):
            await self._send_all(values)

    async def _iterate_in_thread(self) -> None:
        feeder = _Feeder(self._iterator, self._stage.plan.name)
        granted = 0  # and not yet received
        batch = 0  # received since the loop last waited
        feeder.start()
        try:
            while True:
                while number := len(feeder.received):
                    granted -= number
                    batch += number
                    await self._send_all([feeder.received.popleft() for _ in range(number)])
                if feeder.finished and not feeder.received:
                    break
                room = self._room() - granted
                if granted == 0 and room <= 0:
                    for outlet, _ in self._stage.outlets:
                        await outlet.wait_room()
                    continue
                if room > 0 and room >= granted:  # half of it is used up
                    feeder.grant(room)
                    granted += room
                napping = batch >= NAP_FROM and granted >= NAP_FROM
                batch = 0
                if napping:
                    await asyncio.sleep(NAP_S)
                else:
                    await feeder.wait()
        except GeneratorExit:  # the loop dropped us: no await is allowed
            feeder.stop()
            raise
        except BaseException:
            feeder.stop()
            await feeder.join()
            raise
        await feeder.join()
        if feeder.error is not None:
            raise feeder.error

    def _iterator(self) -> Iterator[Any]:
        plan = self._stage.plan
        if hasattr(plan.source, "_feed_run"):
            return self._stage.host.run.source_iterator(plan)
        return iter(plan.source)

    def _room(self) -> int:
        return min(outlet.room() for outlet, _ in self._stage.outlets)

    async def _send_all(self, values: list[Any]) -> None:
        if self._window is not None or Element in map(type, values):
            for value in values:
                await self._send(value)
            return
        stage, position = self._stage, self._position
        stage.counters.taken += len(values)
        self._position += len(values)
        for outlet, lane in stage.outlets:
            put = outlet.put_values(values, 0, position, lane)
            while put < len(values):
                await outlet.put((values[put], (position + put,), lane, ELEMENT))
                put = outlet.put_values(values, put + 1, position, lane)
        stage.counters.sent += len(values)
        stage.counters.emitted += len(values)

    async def _send(self, value: Any) -> None:
        stage = self._stage
        stage.counters.taken += 1
        index: tuple[int, ...] = (self._position,)
        if type(value) is Element:
            index, value = as_element(value, self._position)
            if self._tracked:
                # Nobody can say which indices are missing, so `ordered` sorts at the end, and must not be
                # waited for.
                self._tracked = False
                self._window = None
                await self._send_end((0,), UNTRACKED)
        if self._window is not None and not self._window.admit(self._position):
            await self._window.wait(self._position)
        self._position += 1
        for outlet, lane in stage.outlets:
            entry: Entry = (value, index, lane, ELEMENT)
            if not outlet.put_nowait(entry):
                await outlet.put(entry)
        stage.counters.sent += 1
        stage.counters.emitted += 1

    async def _send_end(self, index: tuple[int, ...], count: int) -> None:
        for outlet, lane in self._stage.ended_outlets:
            await outlet.put((None, index, lane, count))


class _Feeder:
    """The thread that iterates. `received` is appended to there and emptied in the loop."""

    def __init__(self, iterate: Callable[[], Iterator[Any]], name: str) -> None:
        self.received: deque[Any] = deque()
        self.error: BaseException | None = None
        self.finished = False  # nothing will be added to `received`
        self._iterate = iterate
        self._loop = asyncio.get_running_loop()
        self._looking = True  # the loop will look at `received` by itself
        self._waiter: asyncio.Future[None] | None = None
        self._grants = threading.Condition()
        self._granted = 0
        self._stopped = False
        run = contextvars.copy_context().run
        self.thread = threading.Thread(target=run, args=(self._feed,), name=f"{name} source", daemon=True)

    # What the loop calls.

    def start(self) -> None:
        self.thread.start()

    def grant(self, number: int) -> None:
        with self._grants:
            self._granted += number
            self._grants.notify()

    def stop(self) -> None:
        with self._grants:
            self._stopped = True
            self._grants.notify()

    async def wait(self) -> None:
        """Return when something is in `received` or the thread is finished; now and then for nothing."""
        self._waiter = self._loop.create_future()
        self._looking = False
        try:
            # In this order: the thread looks at `_looking` after it has changed one of these.
            if not self.received and not self.finished:
                await self._waiter
        finally:
            self._looking = True
            self._waiter = None

    async def join(self) -> None:
        """After `stop`: wait for the thread, whatever is cancelled meanwhile, but for `JOIN_S` at most."""
        give_up_at = self._loop.time() + JOIN_S
        cancelled: asyncio.CancelledError | None = None
        while not self.finished and self._loop.time() < give_up_at:
            try:
                await asyncio.wait_for(self.wait(), give_up_at - self._loop.time())
            except asyncio.TimeoutError:
                break
            except asyncio.CancelledError as error:
                cancelled = error
            self.received.clear()
        if self.finished:
            self.thread.join()
        else:
            warnings.warn(
                f"thread {self.thread.name!r} did not return from next() within {JOIN_S} s of the end of the "
                "run and was left behind; it ends when its iterable yields",
                RuntimeWarning,
                stacklevel=2,
            )
        if cancelled is not None:
            raise cancelled

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the thread runs.

    def _feed(self) -> None:
        iterator: Iterator[Any] | None = None
        received = self.received
        try:
            iterator = self._iterate()
            while granted := self._next_grant():
                taken = 0
                for value in islice(iterator, granted):
                    taken += 1
                    received.append(value)
                    if not self._looking:
                        self._wake_loop()
                    if self._stopped:
                        break
                if taken < granted:
                    break
        except BaseException as error:
            self.error = error
        try:
            close_generator(iterator)
        except BaseException as error:
            self.error = self.error or error
        self.finished = True
        self._wake_loop()

    def _next_grant(self) -> int:
        with self._grants:
            while not self._granted and not self._stopped:
                self._grants.wait()
            granted, self._granted = self._granted, 0
            return 0 if self._stopped else granted

    def _wake_loop(self) -> None:
        self._looking = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed
            self._stopped = True
