"""`each`: `f` is called for its effect, and nothing goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph import options
from pypeln.graph.options import UNDEFINED
from pypeln.operators.applying import Applying
from pypeln.operators.docstrings import with_shared_parts
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Concatenate, Literal

    from typing_extensions import Unpack

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import A, Callback, Injected, Policy, Source

EACH = Operator("each", Emission.NOTHING)


def _exhaust(stage: Stage[Any]) -> None:
    for _ in stage:
        pass


class Each(Applying):
    """The call for every kind of worker."""

    @overload
    def each(
        self,
        f: Callable[Concatenate[A, Injected], object],
        stage: Iterable[A],
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        run: Literal[False] = False,
        **policy: Unpack[Policy],
    ) -> Stage[Any]: ...
    @overload
    def each(
        self,
        f: Callable[Concatenate[A, Injected], object],
        stage: Iterable[A],
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        *,
        run: Literal[True],
        **policy: Unpack[Policy],
    ) -> None: ...
    @overload
    def each(
        self,
        f: Callable[Concatenate[A, Injected], object],
        *,
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        run: Literal[False] = False,
        **policy: Unpack[Policy],
    ) -> Partial[Iterable[A], Stage[Any]]: ...
    @overload
    def each(
        self,
        f: Callable[Concatenate[A, Injected], object],
        *,
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        run: Literal[True],
        **policy: Unpack[Policy],
    ) -> Partial[Iterable[A], None]: ...

    @with_shared_parts
    def each(
        self,
        f: Any,
        stage: Any = UNDEFINED,
        workers: Any = 1,
        maxsize: Any = 0,
        timeout: Any = 0,
        on_start: Any = None,
        on_done: Any = None,
        run: Any = False,
        *,
        on_error: Any = None,
        retries: Any = None,
        backoff: Any = 0.1,
        on_worker_death: Any = "raise",
    ) -> Any:
        """A stage that calls `f` for what it does, and has no elements itself.

        Args:
            f: `f(element)`; what it returns is dropped. {injection} `io`: may be async.
            {options}
            run: Run the pipeline at once, instead of returning a stage.

        Returns:
            A stage, or a partial; None when it has run.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> seen = []
            >>> th.each(seen.append, ["a", "b"], run=True)
            >>> seen
            ['a', 'b']
        """
        run = options.checked_flag(f"{self.name}.each", "run", run)
        policy = self.policy(EACH, on_error, retries, backoff, on_worker_death)
        then = _exhaust if run else None
        return self.apply(EACH, f, stage, workers, maxsize, timeout, on_start, on_done, policy, then)


class IoEach(Each):
    """The call for tasks: `f` may be async."""

    if TYPE_CHECKING:

        @overload
        def each(
            self,
            f: Callable[Concatenate[A, Injected], object],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            run: Literal[False] = False,
            **policy: Unpack[Policy],
        ) -> IoStage[Any]: ...
        @overload
        def each(
            self,
            f: Callable[Concatenate[A, Injected], object],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            *,
            run: Literal[True],
            **policy: Unpack[Policy],
        ) -> None: ...
        @overload
        def each(
            self,
            f: Callable[Concatenate[A, Injected], object],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            run: Literal[False] = False,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[Any]]: ...
        @overload
        def each(
            self,
            f: Callable[Concatenate[A, Injected], object],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            run: Literal[True],
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], None]: ...
        def each(self, *args: Any, **kwargs: Any) -> Any: ...
