"""`filter`: an element goes on when `f` says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from pypeln.graph.options import UNDEFINED
from pypeln.operators.applying import Applying
from pypeln.operators.docstrings import with_shared_parts
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Concatenate

    from typing_extensions import Unpack

    from pypeln.graph.partial import Partial
    from pypeln.graph.stage import IoStage, Stage
    from pypeln.operators.signatures import A, Callback, Injected, Policy, Source

FILTER = Operator("filter", Emission.INPUT_IF_RESULT)


class Filter(Applying):
    """The call for every kind of worker."""

    @overload
    def filter(
        self,
        f: Callable[Concatenate[A, Injected], object],
        stage: Iterable[A],
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Stage[A]: ...
    @overload
    def filter(
        self,
        f: Callable[Concatenate[A, Injected], object],
        *,
        workers: int = 1,
        maxsize: int = 0,
        timeout: float = 0,
        on_start: Callback = None,
        on_done: Callback = None,
        **policy: Unpack[Policy],
    ) -> Partial[Iterable[A], Stage[A]]: ...

    @with_shared_parts
    def filter(
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
        """A stage of the elements for which `f` returns something true.

        Args:
            f: `f(element) -> bool`. {injection} `io`: may be async.
            {options}

        Returns:
            A stage, or a partial.

        Raises:
            {raises}

        Example:
            >>> from pypeln import pr
            >>> sorted(["a", "1", "b"] | pr.filter(str.isalpha, workers=2))
            ['a', 'b']
        """
        policy = self.policy(FILTER, on_error, retries, backoff, on_worker_death)
        return self.apply(FILTER, f, stage, workers, maxsize, timeout, on_start, on_done, policy)


class IoFilter(Filter):
    """The call for tasks: `f` may be async."""

    if TYPE_CHECKING:

        @overload
        def filter(
            self,
            f: Callable[Concatenate[A, Injected], object],
            stage: Source[A],
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> IoStage[A]: ...
        @overload
        def filter(
            self,
            f: Callable[Concatenate[A, Injected], object],
            *,
            workers: int = 1,
            maxsize: int = 0,
            timeout: float = 0,
            on_start: Callback = None,
            on_done: Callback = None,
            **policy: Unpack[Policy],
        ) -> Partial[Source[A], IoStage[A]]: ...
        def filter(self, *args: Any, **kwargs: Any) -> Any: ...
