"""What should come out of a scenario: each element's fate at each stage, without any concurrency."""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import pairwise

from elements import Key
from shapes import Node, Scenario
from work import collected, fault_at, replacement_of, results_of


@dataclasses.dataclass
class Tally:
    """The elements of one stage, by their fate. Names as in `stats()`."""

    taken: int = 0
    emitted: int = 0
    filtered: int = 0
    failed: int = 0
    timed_out: int = 0
    lost: int = 0
    sent: int = 0


@dataclasses.dataclass
class Outlook:
    """What should happen.

    Attributes:
        results: What the consumer gets, in the order of the source.
        tallies: By stage, what becomes of its elements.
        got: By stage, what an `each` is called with.
        deadly: By stage, the elements that end the run, and how: fails, late or exits.
    """

    results: list[Key]
    tallies: dict[int, Tally]
    got: dict[int, list[Key]]
    deadly: dict[int, list[tuple[Key, str]]]

    @property
    def completes(self) -> bool:
        """Whether nothing that the functions do ends the run."""
        return not any(self.deadly.values())


def foresee(scenario: Scenario, numbers: int | None = None) -> Outlook:
    """What should happen in a run that nobody disturbs from outside.

    Args:
        scenario: The run.
        numbers: How much of an endless source to look at.
    """
    outputs: dict[int, list[Key]] = {}
    tallies: dict[int, Tally] = {}
    got: dict[int, list[Key]] = {}
    deadly: dict[int, list[tuple[Key, str]]] = {}
    for node in scenario.nodes:
        if node.operator == "source":
            count = (numbers or 0) if node.count is None else node.count
            if node.raises_at is not None:
                deadly[node.id] = [(Key((node.id, node.raises_at)), "fails")]
                count = min(count, node.raises_at)
            outputs[node.id] = [Key((node.id, number)) for number in range(count)]
            continue
        arriving = [key for each in node.inputs for key in outputs[each]]
        if node.operator in ("concat", "ordered"):
            outputs[node.id] = arriving
            tallies[node.id] = Tally(taken=len(arriving), emitted=len(arriving), sent=len(arriving))
            continue
        if node.operator == "each":
            got[node.id] = []
        tally = tallies[node.id] = Tally(taken=len(arriving))
        outputs[node.id] = []
        deadly[node.id] = []
        for key in arriving:
            sent = _through(scenario.seed, node, key, tally, deadly[node.id])
            tally.sent += len(sent)
            outputs[node.id] += sent
            if node.operator == "each" and not _goes_wrong(scenario.seed, node, key):
                got[node.id].append(key)
    return Outlook(outputs[len(scenario.nodes) - 1], tallies, got, deadly)


def _goes_wrong(seed: int, node: Node, key: Key) -> str | None:
    """What happens at an element, after all the attempts that it is given."""
    fault = fault_at(seed, node, key)
    if fault is None or not node.times:
        return fault
    retries = node.options.get("retries", 0)
    if fault == "exits" and not node.restarts:
        retries = 0
    return fault if node.times > retries else None


def _through(seed: int, node: Node, key: Key, tally: Tally, deadly: list[tuple[Key, str]]) -> list[Key]:
    """What a stage sends on for an element."""
    fault = _goes_wrong(seed, node, key)
    if fault is None:
        sent = results_of(seed, node, key)
        if node.operator == "filter" and not sent:
            tally.filtered += 1
        else:
            tally.emitted += 1
        return sent
    policy = _policy_for(node, fault)
    if policy == "raise":
        deadly.append((key, fault))
    field = {"fails": "failed", "late": "timed_out", "exits": "lost"}[fault]
    setattr(tally, field, getattr(tally, field) + 1)
    if policy == "collect":
        return [collected(node.operator, node.id, key)]
    if policy == "replace":
        return replacement_of(node, key)
    return []


def _policy_for(node: Node, fault: str) -> str:
    """What a stage does when something goes wrong for good."""
    if fault == "exits" and not node.restarts:
        return "raise"
    return node.policy or ("skip" if fault == "late" else "raise")


def ends_run(seed: int, node: Node, key: Key) -> str | None:
    """What happens at an element that ends the run, if anything does."""
    fault = _goes_wrong(seed, node, key)
    return fault if fault is not None and _policy_for(node, fault) == "raise" else None


def missing_and_extra(got: list[Key], expected: list[Key]) -> tuple[Counter[Key], Counter[Key]]:
    """What is not there, and what is there too often."""
    have, want = Counter(got), Counter(expected)
    return want - have, have - want


def is_in_order(got: list[Key]) -> bool:
    """Whether elements stand in the order of their indices."""
    return all(before.element_index <= after.element_index for before, after in pairwise(got))
