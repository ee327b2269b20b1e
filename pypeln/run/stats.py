"""How the elements of a run's stages end: counted by the workers, read by anybody at any time.

Workers that are threads or processes count in the ledger, coroutines and the consumer itself in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from pypeln._core.counters import Counters
from pypeln.run.policy import Outcome

if TYPE_CHECKING:
    from pypeln.run.memory_stats import MemoryStats
    from pypeln.run.plan import PlannedStage


class StageStats(NamedTuple):
    """What became of the elements of a stage in one run.

    Every element that the stage took ends in one of the counters from `emitted` to `lost`, or is in hand.

    Attributes:
        name: The stage, as in `map(f)`.
        kind: "process", "thread", "task" or "sync".
        workers: How many; 0: as many as there are elements.
        taken: Elements that its workers have taken from its input, or a source from what it iterates.
        emitted: Of those, the ones that `f` did.
        filtered: Those that a filter dropped.
        failed: Those for which `f` raised, after all retries, whatever `on_error` then made of them.
        timed_out: Those that took too long, after all retries.
        lost: Those whose worker died, after all retries, or that the end of the run interrupted.
        sent: Elements that it has put into its output, each child of a flat_map being one; put into several
            queues it is still one.
        retried: How often `f` was called again for an element.
        restarts: Worker processes that were put in the place of others.
        in_hand: Elements that workers are at; 0 after the end.

    Example:
        >>> from pypeln import sync
        >>> stage = sync.filter(str.isalpha, ["a", "1", "b"])
        >>> list(stage)
        ['a', 'b']
        >>> stage.stats().taken, stage.stats().emitted, stage.stats().filtered
        (3, 2, 1)
    """

    name: str
    kind: str
    workers: int
    taken: int = 0
    emitted: int = 0
    filtered: int = 0
    failed: int = 0
    timed_out: int = 0
    lost: int = 0
    sent: int = 0
    retried: int = 0
    restarts: int = 0
    in_hand: int = 0


class StageCounters(Counters):
    """What became of the elements of a stage whose workers are no native ones."""

    __slots__ = ()

    def count(self, outcome: int) -> None:
        """One element has ended like this."""
        name = COUNTER_OF[outcome]
        setattr(self, name, getattr(self, name) + 1)

    def as_dict(self) -> dict[str, int]:
        """Every counter by its name."""
        return {name: getattr(self, name) for name in COUNTED}


COUNTED: Final = (*(outcome.name.lower() for outcome in Outcome), "taken", "sent", "retried", "restarts")
COUNTER_OF: dict[int, str] = {outcome: outcome.name.lower() for outcome in Outcome}


class RunStats:
    """The counters of one run, alive while it runs and fixed afterwards.

    Args:
        stages: Everything in the plan that has elements.
    """

    def __init__(self, stages: list[PlannedStage]) -> None:
        self._stages = stages
        self._counters: dict[int, StageCounters] = {}
        self._read: Callable[[PlannedStage], dict[str, int]] | None = None
        self._final: dict[int, StageStats] = {}
        self._read_memory: Callable[[], list[MemoryStats]] | None = None
        self._final_memory: list[MemoryStats] = []

    def counters(self, stage_id: int) -> StageCounters:
        """Where a stage counts whose workers are no native ones."""
        return self._counters.setdefault(stage_id, StageCounters())

    def follow(
        self, read: Callable[[PlannedStage], dict[str, int]], memory: Callable[[], list[MemoryStats]]
    ) -> None:
        """The run has begun.

        Args:
            read: The counts of a stage of native workers.
            memory: The figures of its queues.
        """
        self._read = read
        self._read_memory = memory

    def freeze(self) -> None:
        """The run has ended, and its memory is about to go."""
        self._final = {stage.id: self._ended(self.of(stage.id)) for stage in self._stages}
        self._read = None
        self._final_memory = self.memory()
        self._read_memory = None

    def memory(self) -> list[MemoryStats]:
        """The figures of each queue that touches a process, sources first."""
        return self._final_memory if self._read_memory is None else self._read_memory()

    def of(self, stage_id: int) -> StageStats:
        """The figures of a stage now."""
        if stage_id in self._final:
            return self._final[stage_id]
        (stage,) = (each for each in self._stages if each.id == stage_id)
        counts: dict[str, int] = {}
        read = self._read  # once: the run may end while another thread asks
        if stage_id in self._counters:
            counts = self._counters[stage_id].as_dict()
        elif read is not None:
            counts = read(stage)
        # Not read in one moment: what has ended meanwhile is no longer in hand.
        ended = sum(counts.get(name, 0) for name in COUNTER_OF.values())
        counts["in_hand"] = max(0, counts.get("taken", 0) - ended)
        counts["taken"] = ended + counts["in_hand"]
        return StageStats(stage.name, stage.kind.value, stage.workers, **counts)

    def all(self) -> list[StageStats]:
        """The figures of every stage, sources first."""
        return [self.of(stage.id) for stage in self._stages]

    @staticmethod
    def _ended(stats: StageStats) -> StageStats:
        return stats._replace(lost=stats.lost + stats.in_hand, in_hand=0)


def counted(elements: Iterable[Any], counters: StageCounters) -> Generator[Any, None, None]:
    """The elements, each counted as taken and sent."""
    for element in elements:
        counters.taken += 1
        counters.emitted += 1
        counters.sent += 1
        yield element


# The newest run of each stage, and its id there.
_newest: WeakKeyDictionary[Any, tuple[RunStats, int]] = WeakKeyDictionary()


def remember(stage: Any, stats: RunStats, stage_id: int) -> None:
    """This is the newest run of a stage."""
    _newest[stage] = (stats, stage_id)


def newest(stage: Any) -> StageStats | None:
    """The figures of a stage in its newest run; None when there was none."""
    known = _newest.get(stage)
    return None if known is None else known[0].of(known[1])


def newest_memory(stage: Any) -> list[MemoryStats]:
    """The figures of the queues of the newest run of a stage, sources first."""
    known = _newest.get(stage)
    return [] if known is None else known[0].memory()


def newest_run(stage: Any) -> list[StageStats]:
    """The figures of every stage of the newest run of a stage, sources first."""
    known = _newest.get(stage)
    return [] if known is None else known[0].all()
