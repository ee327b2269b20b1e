"""`flat_map`: an element becomes each of what `f` returns for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph.options import UNDEFINED
from pypeln.operators.applying import Applying
from pypeln.operators.docstrings import with_shared_parts
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from typing import Concatenate

    from typing_extensions import Unpack

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import A, B, Callback, Injected, Policy, Source

FLAT_MAP = Operator("flat_map", Emission.EACH_OF_RESULT)


class FlatMap(Applying):
    """The call for every kind of worker."""

    @overload
    def flat_map(
        self,
        f: Callable[Concatenate[A, Injected], Iterable[B]],
        stage: Iterable[A],
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Stage[B]: ...
    @overload
    def flat_map(
        self,
        f: Callable[Concatenate[A, Injected], Iterable[B]],
        *,
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Partial[Iterable[A], Stage[B]]: ...

    @with_shared_parts
    def flat_map(
        self,
        f: Any,
        stage: Any = UNDEFINED,
        workers: Any = 1,
        maxsize: Any = 0,
        timeout: Any = 0,
        on_start: Any = None,
        on_done: Any = None,
        *,
        on_error: Any = None,
        retries: Any = None,
        backoff: Any = 0.1,
        on_worker_death: Any = "raise",
    ) -> Any:
        """A stage of everything that is in the iterables which `f` returns.

        The `element_index` of the results has one dimension more: their position in the iterable.

        Args:
            f: `f(element) -> iterable`; a generator is sent on while it runs. {injection}
                `io`: may be async, an async generator too.
            {options}

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import pr
            >>> sorted(["a b", "c"] | pr.flat_map(str.split, workers=2))
            ['a', 'b', 'c']
        """
        policy = self.policy(FLAT_MAP, on_error, retries, backoff, on_worker_death)
        return self.apply(FLAT_MAP, f, stage, workers, maxsize, timeout, on_start, on_done, policy)


class IoFlatMap(FlatMap):
    """The call for tasks: `f` may be async."""

    if TYPE_CHECKING:

        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], AsyncIterable[B]],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[B]: ...
        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], AsyncIterable[B]],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[B]]: ...
        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], Awaitable[Iterable[B]]],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[B]: ...
        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], Awaitable[Iterable[B]]],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[B]]: ...
        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], Iterable[B]],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[B]: ...
        @overload
        def flat_map(
            self,
            f: Callable[Concatenate[A, Injected], Iterable[B]],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[B]]: ...
        def flat_map(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, *args: Any, **kwargs: Any
        ) -> Any: ...
