"""`run`: iterates pipelines for what they do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pypeln.graph import options
from pypeln.graph.stage import Stage
from pypeln.operators.concat import Concat
from pypeln.operators.docstrings import with_shared_parts
from pypeln.operators.from_iterable import as_stage

if TYPE_CHECKING:
    from pypeln.operators.signatures import Source


class Run(Concat):
    """The call for every kind of worker."""

    @with_shared_parts
    def run(self, *stages: Iterable[Any], maxsize: int = 0) -> None:
        """Runs one or more pipelines to their end, and drops what comes out.

        Args:
            stages: Stages of any kind of worker, or iterables (`io`: async iterables as well). Several run at
                the same time, as one pipeline; a list of stages is the same as the stages.
            maxsize: How many elements may wait to be dropped; 0 for up to 8192, as is fast.

        Returns:
            None.

        Raises:
            {raises}

        Example:
            >>> from pypeln import th
            >>> seen = []
            >>> th.run(th.each(seen.append, ["a"]), th.each(seen.append, ["b"]))
            >>> sorted(seen)
            ['a', 'b']
        """
        call = f"{self.name}.run"
        bound = options.checked_maxsize(call, maxsize)
        for i, stage in enumerate(stages):
            options.checked_source(call, f"stages[{i}]", stage, accepts_async=self.is_io)
        if len(stages) == 1 and _is_list_of_stages(stages[0]):
            stages = tuple(stages[0])
        if not stages:
            return
        whole = (
            as_stage(self, call, "stages[0]", stages[0])
            if len(stages) == 1
            else self.concat(stages, maxsize=bound)
        )
        for _ in whole.to_iterable(bound):
            pass


class IoRun(Run):
    """The call for tasks: takes async iterables as well."""

    if TYPE_CHECKING:

        def run(self, *stages: Source[Any], maxsize: int = 0) -> None: ...


def _is_list_of_stages(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, Stage) for each in value)
