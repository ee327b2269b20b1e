"""What a chaos run is: the shape of its pipeline and the faults, all of it following from one number."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import Any

# What goes wrong in a run, and how often it is drawn. The first six are done from inside, by the functions
# and by the consumer; the others from outside, by the monitor.
WEATHERS = {
    "calm": 6,
    "errors": 8,
    "lateness": 4,
    "exits": 6,
    "leaving": 10,
    "small": 6,
    "stops": 8,
    "kills": 20,
    "load": 3,
    "interrupt": 8,
    "parent": 8,
}

KINDS = {"pr": 10, "th": 4, "io": 4, "sync": 2}
OPERATORS = {"map": 10, "flat_map": 5, "filter": 4}
CONSUMERS = {"for": 6, "thread": 2, "async": 2, "index": 3}
LEAVES = ("close", "raise", "drop")
ENDINGS = ("exit", "sys_exit", "sys_exit_0", "segfault", "kill")


@dataclasses.dataclass
class Node:
    """One stage.

    Attributes:
        id: Its place in the scenario; its inputs have lower ones.
        operator: source, map, filter, flat_map, each, concat or ordered.
        kind: Its front end.
        inputs: Ids of the stages that it takes from.
        fails, late, exits: The shares of its elements at which the function raises, sleeps for ever, ends its
            process.
        times: How often an element does so, before it goes through; 0 is always.
        naps: The share of its elements at which the function sleeps a little, and for how long.
        options: Further arguments of the call.
        count: How many elements a source has; None when it never ends.
        source: How a source is given: plain, stage or process.
        raises_at: Where a source raises, if it does.
    """

    id: int
    operator: str
    kind: str
    inputs: list[int] = dataclasses.field(default_factory=list)
    fails: float = 0.0
    late: float = 0.0
    exits: float = 0.0
    ending: str = "exit"
    times: int = 0
    naps: tuple[float, float] = (0.0, 0.0)
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    is_async: bool = False
    lazy: bool = False
    count: int | None = 0
    source: str = "plain"
    raises_at: int | None = None
    callbacks: bool = False

    @property
    def name(self) -> str:
        """The name of its function."""
        return f"{self.operator}{self.id}"

    @property
    def policy(self) -> str | None:
        """What becomes of an element whose function raises."""
        on_error: str | None = self.options.get("on_error")
        return on_error

    @property
    def restarts(self) -> bool:
        """Whether another process goes on where one died."""
        return self.options.get("on_worker_death") == "restart"


@dataclasses.dataclass
class Scenario:
    """One run.

    Attributes:
        seed: What all of it follows from.
        weather: What goes wrong.
        nodes: The pipeline; the last one is iterated.
        profile: How large the payloads are.
        keeps: So many of the elements that it got last the consumer keeps, until after the run.
        consumer: How it is iterated.
        takes: After how many elements the consumer leaves; None when it stays.
        leaves: How it does.
        queue_bytes: The byte budget of a queue; None for the usual one.
        spare_fds: How many more descriptors may be opened; None when that is not limited.
        pace_s: The mean time between two faults from outside.
        faults: How many of them there may be.
    """

    seed: int
    weather: str
    nodes: list[Node]
    profile: str = "tiny"
    keeps: int = 0
    consumer: str = "for"
    takes: int | None = None
    leaves: str = "close"
    queue_bytes: int | None = None
    spare_fds: int | None = None
    pace_s: float = 0.01
    faults: int = 0

    @property
    def functions(self) -> list[Node]:
        """The stages that call a function."""
        return [node for node in self.nodes if node.operator in ("map", "filter", "flat_map", "each")]

    @property
    def has_processes(self) -> bool:
        """Whether there is anybody to kill."""
        return any(node.kind == "pr" for node in self.functions)


class _Maker:
    """Draws a scenario."""

    def __init__(self, seed: int, weather: str | None, method: str) -> None:
        self.random = random.Random(seed)
        self.is_slow_start = method != "fork"
        # Drawn in any case, so that naming the weather changes nothing else.
        drawn = self._one_of(WEATHERS)
        self.scenario = Scenario(seed, weather or drawn, [])

    def make(self) -> Scenario:
        scenario, draw = self.scenario, self.random
        scenario.profile = self._one_of({"tiny": 5, "slot": 3, "mixed": 4, "large": 1, "arrays": 5})
        count = int(
            10
            ** draw.uniform(
                0, {"tiny": 3.3, "slot": 3, "mixed": 2.3, "large": 1.5, "arrays": 2.3}[scenario.profile]
            )
        )
        scenario.keeps = draw.choice([0, 0, 3, 1000])
        end = self._source(count)
        stages = draw.randint(1, 3 if self.is_slow_start else 5)
        for _ in range(stages):
            end = self._further(end)
        if not scenario.functions:
            end = self._function([end])
        if draw.random() < 0.1:
            end = self._add("each", self._one_of(KINDS), [end])
        elif draw.random() < 0.25:
            end = self._add("ordered", self._one_of(KINDS), [end], plain=True)
        if scenario.weather in ("kills", "stops", "exits", "parent") and not scenario.has_processes:
            draw.choice(scenario.functions).kind = "pr"
        for node in scenario.functions:
            self._settle_function(node)
        self._settle_weather()
        root = scenario.nodes[end]
        scenario.consumer = self._one_of(CONSUMERS)
        if scenario.consumer == "async" and root.kind != "io":
            scenario.consumer = "for"
        if scenario.consumer == "thread" and scenario.weather == "interrupt":
            scenario.consumer = "for"  # only the main thread is interrupted
        return scenario

    def _further(self, end: int) -> int:
        draw = self.random
        turn = draw.random()
        if turn < 0.12 and len(self.scenario.nodes) < 8:
            # Two branches with the same source, or a second source.
            if draw.random() < 0.6:
                other = self._function([end])
                end = self._function([end]) if draw.random() < 0.8 else end
            else:
                other = self._source(draw.randint(0, 100))
            return self._add("concat", self._one_of(KINDS), [end, other], plain=True)
        if turn < 0.18:
            end = self._add("ordered", self._one_of(KINDS), [end], plain=True)
        return self._function([end])

    def _source(self, count: int) -> int:
        draw = self.random
        node = self._add("source", self._one_of(KINDS), [], plain=True)
        made = self.scenario.nodes[node]
        made.count = count
        made.source = self._one_of({"plain": 4, "stage": 2, "process": 1})
        made.is_async = made.kind == "io" and draw.random() < 0.5
        if made.is_async:
            made.source = "stage"
        made.naps = self._naps(count)
        return node

    def _function(self, inputs: list[int]) -> int:
        return self._add(self._one_of(OPERATORS), self._one_of(KINDS), inputs)

    def _add(self, operator: str, kind: str, inputs: list[int], plain: bool = False) -> int:
        node = Node(len(self.scenario.nodes), operator, kind, inputs)
        node.options["maxsize"] = self.random.choice([0, 0, 1, 1, 2, 3, 10, 100])
        if not plain:
            node.options["workers"] = self.random.randint(1, 2 if self.is_slow_start else 4)
        self.scenario.nodes.append(node)
        return node.id

    def _settle_function(self, node: Node) -> None:
        draw = self.random
        if node.kind == "sync":
            node.options["workers"] = 1
        if node.kind == "io":
            node.is_async = draw.random() < 0.6
            node.options["workers"] = draw.choice([0, 1, 3, 20])
        node.lazy = draw.random() < 0.5
        node.callbacks = draw.random() < 0.2
        node.naps = self._naps(self.scenario.nodes[0].count or 0)
        if node.kind == "io" and not node.is_async:
            node.naps = (0.0, 0.0)  # it would stop all other tasks

    def _settle_weather(self) -> None:
        scenario, draw = self.scenario, self.random
        functions = scenario.functions
        sources = [node for node in scenario.nodes if node.operator == "source"]
        weather = scenario.weather
        scenario.pace_s = draw.choice([0.002, 0.01, 0.04, 0.15])
        if weather == "errors":
            for node in draw.sample(functions, draw.randint(1, len(functions))):
                node.fails = draw.choice([0.002, 0.02, 0.3, 1.0])
                self._policy(node)
            if draw.random() < 0.15:
                source = draw.choice(sources)
                source.raises_at = draw.randint(0, source.count or 0)
        elif weather == "lateness":
            for node in draw.sample(functions, draw.randint(1, len(functions))):
                node.late = min(1.0, 1.5 / ((sources[0].count or 0) + 1))
                node.options["timeout"] = 0.5 if self.is_slow_start else draw.choice([0.1, 0.2])
                node.is_async = node.kind == "io"
                self._policy(node)
        elif weather == "exits":
            for node in functions:
                if node.kind == "pr":
                    node.exits = draw.choice([0.002, 0.05, 0.5])
                    node.ending = draw.choice(ENDINGS)
                    self._policy(node)
                    self._restart(node, draw.randint(0, 2))
                    if node.restarts:
                        node.exits = min(node.exits, 0.05)
        elif weather == "small":
            # One limit at a time, so that it is known what is refused.
            if draw.random() < 0.5:
                scenario.spare_fds = draw.randint(0, 50)
            else:
                scenario.queue_bytes = 1 << 20
                scenario.profile = draw.choice(["mixed", "large", "arrays"])
                for source in sources:
                    source.count = min(source.count or 0, 100)
        elif weather == "kills":
            scenario.faults = 1
            if draw.random() < 0.7:
                scenario.faults = draw.randint(1, 12)
                for node in functions:
                    node.options.update(on_worker_death="restart", retries=100)
                for node in scenario.nodes:
                    # Those have no such option: a death there ends the run.
                    if node.operator in ("source", "concat", "ordered") and node.kind == "pr":
                        node.kind, node.source = "th", "stage"
        elif weather == "stops":
            scenario.faults = draw.randint(1, 8)
        elif weather in ("interrupt", "parent"):
            scenario.faults = 1
        if draw.random() < (0.9 if weather == "leaving" else 0.05):
            scenario.takes = int(10 ** draw.uniform(0, 2.5)) - 1
            scenario.leaves = draw.choice(LEAVES)
        if weather in ("leaving", "interrupt", "parent", "kills", "stops") and draw.random() < 0.35:
            self._endless(sources)

    def _endless(self, sources: list[Node]) -> None:
        scenario = self.scenario
        is_ended_from_outside = scenario.weather in ("interrupt", "parent")
        if scenario.nodes[-1].operator == "each" and not is_ended_from_outside:
            return  # a consumer that gets nothing never leaves
        if not is_ended_from_outside and scenario.takes is None:
            scenario.takes = self.random.randint(0, 200)
        sources[0].count = None

    def _policy(self, node: Node) -> None:
        draw = self.random
        policy = draw.choice([None, "raise", "skip", "skip", "collect", "collect", "replace"])
        if policy is not None:
            node.options["on_error"] = policy
        if draw.random() < 0.6:
            node.times = draw.randint(1, 2)
            node.options["retries"] = draw.randint(0, 3)
            node.options["backoff"] = 0.001

    def _restart(self, node: Node, retries: int) -> None:
        if self.random.random() < 0.7:
            node.options.update(on_worker_death="restart", retries=retries, backoff=0.001)

    def _naps(self, count: int) -> tuple[float, float]:
        """Sleeping for a fifth of a second in all, at most."""
        draw = self.random
        if draw.random() < 0.4:
            return 0.0, 0.0
        seconds = draw.choice([0.0002, 0.002, 0.02])
        return min(1.0, draw.choice([0.05, 0.3, 1.0]) * 0.2 / seconds / (count + 1)), seconds

    def _one_of(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]


def scenario_of(seed: int, method: str, weather: str | None = None) -> Scenario:
    """The run that follows from a number.

    Args:
        seed: The number.
        method: How processes are started; where that is slow, there are fewer.
        weather: What goes wrong; drawn when it is left out.
    """
    scenario = _Maker(seed, weather, method).make()
    for node in scenario.nodes:
        # Copies of an element are one to who counts the attempts: whether one of them fails for good would
        # depend on which of them comes when.
        if node.times > node.options.get("retries", 0) and max(_ways(scenario.nodes, node).values()) > 1:
            node.times = 0
    return scenario


def _ways(nodes: list[Node], node: Node) -> Counter[int]:
    """In how many ways what each stage sends comes to this one."""
    ways: Counter[int] = Counter()
    for before in node.inputs:
        ways[before] += 1
        ways.update(_ways(nodes, nodes[before]))
    return ways
