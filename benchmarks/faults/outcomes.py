"""From what was seen of a run to one word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from job import Fault
from supervise import Seen

WORDS = {
    "pass": "what should happen: the fault costs at most the element that it strikes, everybody is told, "
    "nothing is left",
    "error-all": "an error is reported, and the other elements are not processed",
    "hang": "control never came back",
    "lost": "results are missing and nobody is told",
    "duplicated": "a result came more than once",
    "leaked": "processes, threads, descriptors or shared memory are left",
    "unbounded": "the source is read without bound",
    "wrong": "an error that hides what happened, or an end that should not have been",
}


@dataclass(frozen=True)
class Outcome:
    """One cell of the table."""

    word: str
    seconds: float | None
    detail: str


def judge(fault: Fault, seen: Seen) -> Outcome:
    """Decide what became of a run."""
    if fault.consumer.startswith("abandoned"):
        if seen.hung:
            return Outcome("hang", None, "the program outlived its own death")
        return _with_leaks("pass", seen.gone_s, "", seen.left)
    if seen.hung == "job":
        return Outcome("hang", None, "in the job")
    if seen.notes is None:
        return Outcome("wrong", None, f"the program ended with status {seen.status}: {seen.stderr[-500:]}")
    notes = seen.notes
    seconds = notes["control_s"]
    if seen.hung == "exit":
        return Outcome("hang", None, f"at the end of the program; control was back after {seconds:.2f} s")
    word, detail = _fates(fault, seen)
    left = [f"{number} more {name}" for name, number in notes["grown"].items()] + seen.left
    return _with_leaks(word, seconds, detail, left)


def _with_leaks(word: str, seconds: float, detail: str, left: list[str]) -> Outcome:
    if not left:
        return Outcome(word, seconds, detail)
    told = f"left: {', '.join(left)}"
    if word == "error-all":
        detail = f"{word}; {detail}"
    if word in ("pass", "error-all"):
        word = "leaked"
    return Outcome(word, seconds, "; ".join(part for part in (detail, told) if part))


def _fates(fault: Fault, seen: Seen) -> tuple[str, str]:
    notes = seen.notes
    assert notes is not None
    errors = [*notes["failures"], *([notes["ended_by"]] if notes["ended_by"] else [])]
    last = errors[-1]["line"] if errors else ""
    if twice := [value for value, times in Counter(notes["delivered"]).items() if times > 1]:
        return "duplicated", f"{len(twice)} results"
    if fault.consumer == "stall":
        ahead = notes["ahead"]
        return ("unbounded" if notes["runaway"] else "pass"), f"{ahead:,} ahead"
    if fault.consumer == "leave":
        if errors:
            return "wrong", last
        return ("unbounded" if notes["runaway"] else "pass"), ""
    if fault.consumer.startswith("interrupted"):
        if notes["ended_by"] and notes["ended_by"]["type"] == "KeyboardInterrupt":
            lines = len(seen.stderr.splitlines())
            return "pass", f"{lines} lines on stderr" if lines else ""
        return "wrong", f"no KeyboardInterrupt: {last}" if last else "no KeyboardInterrupt"
    if fault.error and errors and not any(fault.error in error["all"] for error in errors):
        return "wrong", f"the error is hidden by: {last}"
    if fault.ends:
        return ("pass", last) if errors else ("lost", "nobody was told")
    missing = set(fault.expected) - set(notes["delivered"])
    if notes["ended_by"]:
        return "error-all", last
    if len(missing) > len(errors) and not (fault.silent and len(missing) <= fault.culprits):
        return "lost", f"{len(missing)} missing, {len(errors)} reported"
    if len(missing) > fault.culprits:
        return "error-all", f"{len(missing)} elements: {last}"
    return "pass", last
