"""`map`: an element becomes what `f` returns for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph.options import UNDEFINED
from pypeln.operators.applying import Applying
from pypeln.operators.docstrings import with_shared_parts
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Concatenate

    from typing_extensions import Unpack

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import A, B, Callback, Injected, Policy, Source

MAP = Operator("map", Emission.RESULT)


class Map(Applying):
    """The call for every kind of worker."""

    @overload
    def map(
        self,
        f: Callable[Concatenate[A, Injected], B],
        stage: Iterable[A],
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Stage[B]: ...
    @overload
    def map(
        self,
        f: Callable[Concatenate[A, Injected], B],
        *,
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Partial[Iterable[A], Stage[B]]: ...

    @with_shared_parts
    def map(
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
        """A stage of the results of `f`.

        With several workers the order of the results is not that of the elements; see `ordered`.

        Args:
            f: `f(element) -> result`. {injection} `io`: may be async.
            {options}

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import pr
            >>> sorted(["a", "b", "c"] | pr.map(str.upper, workers=2))
            ['A', 'B', 'C']
        """
        policy = self.policy(MAP, on_error, retries, backoff, on_worker_death)
        return self.apply(MAP, f, stage, workers, maxsize, timeout, on_start, on_done, policy)


class IoMap(Map):
    """The call for tasks: `f` may be async."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def map(
            self,
            f: Callable[Concatenate[A, Injected], Awaitable[B]],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[B]: ...
        @overload
        def map(
            self,
            f: Callable[Concatenate[A, Injected], Awaitable[B]],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[B]]: ...
        @overload
        def map(
            self,
            f: Callable[Concatenate[A, Injected], B],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[B]: ...
        @overload
        def map(
            self,
            f: Callable[Concatenate[A, Injected], B],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[B]]: ...
        def map(  # pyright: ignore[reportIncompatibleMethodOverride]
            self, *args: Any, **kwargs: Any
        ) -> Any: ...
