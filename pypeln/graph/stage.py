"""The immutable description of a stage: what to do, with how many of which workers, on what input."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

from pypeln.graph.options import checked_flag, checked_maxsize
from pypeln.run import stats
from pypeln.run.policy import ErrorPolicy

if TYPE_CHECKING:
    from pypeln.element import Element
    from pypeln.run.memory_stats import MemoryStats
    from pypeln.run.plan import BatchOptions, Operator, Plan, WorkerKind
    from pypeln.run.stats import StageStats

T_co = TypeVar("T_co", covariant=True)
Self_ = TypeVar("Self_", bound="Stage[Any]")
Next = TypeVar("Next")


class Stage(Generic[T_co]):
    """A stage of a pipeline, as `pr.map` and the other calls make it.

    It describes and never changes. Each iteration is a new run of everything upstream of it; within one run a
    stage that several others consume is computed once. Two stages are equal only when they are the same
    object.

    Args:
        operator: What an element goes through.
        kind: The kind of worker.
        inputs: The stages it takes from; none for a source.
        workers: How many workers; 0 only for tasks, as many as there are elements.
        maxsize: How many elements its input queue holds; 0 for up to 8192, as is fast.
        timeout: Seconds that `f` may take for one element; 0 for any.
        f: What the workers call.
        on_start: Called by each worker before its first element.
        on_done: Called by each worker after its last element.
        source: What a source iterates.
        use_thread: Whether a source of a process pipeline is iterated by a thread of this process.
        policy: What becomes of elements that `f` cannot do.
        batching: What a batch is made of; None for a stage that makes none.

    Example:
        >>> from pypeln import sync
        >>> stage = sync.map(len, ["a", "bcd"])
        >>> list(stage), list(stage)
        ([1, 3], [1, 3])
    """

    __slots__ = (
        "__weakref__",
        "batching",
        "f",
        "inputs",
        "kind",
        "maxsize",
        "on_done",
        "on_start",
        "operator",
        "policy",
        "source",
        "timeout",
        "use_thread",
        "workers",
    )

    operator: Operator
    kind: WorkerKind
    inputs: tuple[Stage[Any], ...]
    workers: int
    maxsize: int
    timeout: float
    f: Callable[..., Any] | None
    on_start: Callable[..., Any] | None
    on_done: Callable[..., Any] | None
    source: Any
    use_thread: bool
    policy: ErrorPolicy
    batching: BatchOptions | None

    def __init__(
        self,
        *,
        operator: Operator,
        kind: WorkerKind,
        inputs: tuple[Stage[Any], ...] = (),
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        f: Callable[..., Any] | None = None,
        on_start: Callable[..., Any] | None = None,
        on_done: Callable[..., Any] | None = None,
        source: Any = None,
        use_thread: bool = True,
        policy: ErrorPolicy | None = None,
        batching: BatchOptions | None = None,
    ) -> None:
        describe = object.__setattr__
        describe(self, "operator", operator)
        describe(self, "kind", kind)
        describe(self, "inputs", inputs)
        describe(self, "workers", workers)
        describe(self, "maxsize", maxsize)
        describe(self, "timeout", timeout)
        describe(self, "f", f)
        describe(self, "on_start", on_start)
        describe(self, "on_done", on_done)
        describe(self, "source", source)
        describe(self, "use_thread", use_thread)
        describe(self, "policy", policy or ErrorPolicy())
        describe(self, "batching", batching)

    @property
    def name(self) -> str:
        """The name that people read, as in `map(slow_add1)`."""
        if self.f is not None and not self.operator.owns_f:
            return f"{self.operator.name}({function_name(self.f)})"
        if self.batching is not None:
            return f"{self.operator.name}({self.batching.n})"
        if self.operator.feeds:
            return f"{self.operator.name}({type(self.source).__name__})"
        return self.operator.name

    def __iter__(self) -> Iterator[T_co]:
        return self.to_iterable(self.maxsize)

    @overload
    def to_iterable(self, maxsize: int = 0, return_index: Literal[False] = False) -> Iterator[T_co]: ...
    @overload
    def to_iterable(self, maxsize: int = 0, *, return_index: Literal[True]) -> Iterator[Element]: ...
    @overload
    def to_iterable(self, maxsize: int, return_index: bool) -> Iterator[Any]: ...

    def to_iterable(self, maxsize: int = 0, return_index: bool = False) -> Iterator[Any]:
        """One run of the pipeline, as an iterator. It starts with the first `next`.

        Args:
            maxsize: How many elements may wait for the consumer; 0 for up to 8192, as is fast.
            return_index: Yield `Element(index, value)` instead of the value alone.

        Returns:
            An iterator; closing it ends the run.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `maxsize` is negative, or the pipeline has too many paths or dimensions to be ordered.

        Example:
            >>> from pypeln import sync
            >>> list(sync.map(len, ["a", "bcd"]).to_iterable(return_index=True))
            [Element(index=(0,), value=1), Element(index=(1,), value=3)]
        """
        from pypeln.run.run import iterate

        return iterate(self._plan(maxsize, return_index, "to_iterable"), return_index)

    def stats(self) -> StageStats:
        """What became of this stage's elements in the newest run that it took part in, live or ended.

        Returns:
            The figures; all 0 when there was no run.

        Example:
            >>> from pypeln import sync
            >>> stage = sync.map(int, ["1", "two"], on_error="skip")
            >>> list(stage)
            [1]
            >>> stage.stats().emitted, stage.stats().failed
            (1, 1)
        """
        return stats.newest(self) or stats.StageStats(self.name, self.kind.value, self.workers)

    def pipeline_stats(self) -> list[StageStats]:
        """The same for every stage of that run, sources first."""
        return stats.newest_run(self)

    def memory_stats(self) -> list[MemoryStats]:
        """The shared memory of that run, and how often arrays and other large buffers were copied, and why.

        Returns:
            One entry for each queue that touches a process, sources first.

        Example:
            >>> from pypeln import pr
            >>> stage = pr.map(len, [bytes(10_000)])
            >>> list(stage)
            [10000]
            >>> [each.copied_in.nbytes for each in stage.memory_stats()]
            [10000, 0]
        """
        return stats.newest_memory(self)

    def _plan(self, maxsize: int, return_index: bool, call: str) -> Plan:
        from pypeln.graph.planner import planned

        checked_flag(call, "return_index", return_index)
        return planned(self, checked_maxsize(call, maxsize))

    # pyright finds no element type in a class that can also be called without arguments.
    @overload
    def __or__(self, then: type[list[Any]]) -> list[T_co]: ...
    @overload
    def __or__(self, then: type[tuple[Any, ...]]) -> tuple[T_co, ...]: ...
    @overload
    def __or__(self, then: type[set[Any]]) -> set[T_co]: ...
    @overload
    def __or__(self: Self_, then: Callable[[Self_], Next]) -> Next: ...

    def __or__(self, then: Any) -> Any:
        if not callable(then):
            return NotImplemented
        return then(self)

    def __setattr__(self, attribute: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{self!r} never changes, so {attribute} cannot be set; make a new stage with the value it "
            "should have"
        )

    def __delattr__(self, attribute: str) -> NoReturn:
        raise AttributeError(f"{self!r} never changes, so {attribute} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would set the attributes one by one, which a stage refuses.
        fields = {name: getattr(self, name) for name in Stage.__slots__ if not name.startswith("__")}
        return functools.partial(type(self), **fields), ()

    def __repr__(self) -> str:
        options = [f"workers={self.workers}"]
        options += [f"maxsize={self.maxsize}"] if self.maxsize else []
        options += [f"timeout={self.timeout:g}"] if self.timeout else []
        return f"<{type(self).__name__} {self.kind.value} {self.name}, {', '.join(options)}>"


class IoStage(Stage[T_co]):
    """A stage of asyncio tasks, which coroutines can iterate and await as well.

    Example:
        >>> import asyncio
        >>> from pypeln import io
        >>> async def lengths():
        ...     return await io.map(len, ["a", "bcd"])
        >>> asyncio.run(lengths())
        [1, 3]
    """

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self.to_async_iterable(self.maxsize)

    @overload
    def to_async_iterable(
        self, maxsize: int = 0, return_index: Literal[False] = False
    ) -> AsyncIterator[T_co]: ...
    @overload
    def to_async_iterable(
        self, maxsize: int = 0, *, return_index: Literal[True]
    ) -> AsyncIterator[Element]: ...
    @overload
    def to_async_iterable(self, maxsize: int, return_index: bool) -> AsyncIterator[Any]: ...

    def to_async_iterable(self, maxsize: int = 0, return_index: bool = False) -> AsyncIterator[Any]:
        """One run of the pipeline, as an async iterator in the running loop.

        Arguments and errors: see `to_iterable`.

        Returns:
            An async iterator; closing it ends the run.

        Example:
            >>> import asyncio
            >>> from pypeln import io
            >>> async def lengths():
            ...     return [n async for n in io.map(len, ["a", "bcd"]).to_async_iterable(maxsize=1)]
            >>> asyncio.run(lengths())
            [1, 3]
        """
        from pypeln.run.async_run import iterate_async

        return iterate_async(self._plan(maxsize, return_index, "to_async_iterable"), return_index)

    def __await__(self) -> Generator[Any, Any, list[T_co]]:
        return self._collected().__await__()

    async def _collected(self) -> list[T_co]:
        from pypeln.run.async_run import collect_async

        return await collect_async(self._plan(self.maxsize, False, "await"))


def function_name(f: Any) -> str:
    """The name by which people know a callable: of a partial, that of its function."""
    while isinstance(f, functools.partial):
        f = f.func
    name = getattr(f, "__name__", None)
    return name if isinstance(name, str) else type(f).__name__
