"""Holds a contender to its task: a fast one that loses or doubles elements has not done the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any


class WrongResults(Exception):
    """A contender's results are not the expected elements, each exactly once."""


def check_each_once(
    results: Sequence[Any], expected: Iterable[Any], key: Callable[[Any], Any] | None = None
) -> None:
    """Check that every expected result arrived exactly once, in whatever order.

    Raises:
        WrongResults: with the first few elements that are missing or too many.
    """
    wanted = sorted(expected, key=key)
    if len(results) == len(wanted) and sorted(results, key=key) == wanted:
        return
    missing = Counter(map(_hashable, wanted))
    missing.subtract(map(_hashable, results))
    lost = islice((str(x) for x, n in missing.items() if n > 0), 5)
    extra = islice((str(x) for x, n in missing.items() if n < 0), 5)
    raise WrongResults(
        f"{len(results)} results arrived, {len(wanted)} were expected; "
        f"missing: {', '.join(lost) or 'none'}; unexpected or doubled: {', '.join(extra) or 'none'}"
    )


def _hashable(result: Any) -> Any:
    return result if isinstance(result, (int, str)) else repr(result)
