"""`concat`: the elements of several stages in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypeln.graph import options
from pypeln.graph.stage import Stage
from pypeln.operators.calls import Calls
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage
from pypeln.run.plan import Emission, Operator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypeln.graph.stage import IoStage
    from pypeln.operators.signatures import Source, T

CONCAT = Operator("concat", Emission.INPUT)


class Concat(Calls):
    """The call for every kind of worker."""

    @with_shared_parts
    def concat(self, stages: Iterable[Iterable[T]], maxsize: int = 0) -> Stage[T]:
        """A stage of the elements of several stages, as they come.

        `sync` takes one from each in turn; where an `ordered` follows, the one with the lowest index.

        Args:
            stages: Stages of any kind of worker, or iterables. A stage that is in it twice sends each element
                twice.
            maxsize: How many elements may wait in front of this stage; 0 for up to 8192, as is fast.

        Returns:
            A stage.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> sorted(th.concat([["a", "b"], ["c"]]))
            ['a', 'b', 'c']
        """
        call = f"{self.name}.concat"
        bound = options.checked_maxsize(call, maxsize)
        if isinstance(stages, Stage):
            raise TypeError(
                f"{call}: stages must be a list of stages, got one stage; write {call}([stage, ...])"
            )
        options.checked_source(call, "stages", stages, accepts_async=False)
        inputs = tuple(as_stage(self, call, f"stages[{i}]", stage) for i, stage in enumerate(stages))
        if not inputs:
            return as_stage(self, call, "stages", ())
        return self.make(CONCAT, inputs=inputs, maxsize=bound)


class IoConcat(Concat):
    """The call for tasks: takes async iterables as well."""

    if TYPE_CHECKING:

        def concat(self, stages: Iterable[Source[T]], maxsize: int = 0) -> IoStage[T]: ...
