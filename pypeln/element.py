"""An element together with where it came from."""

from __future__ import annotations

from typing import Any, NamedTuple


class Element(NamedTuple):
    """A value and its `element_index`: what `to_iterable(..., return_index=True)` yields.

    Attributes:
        index: Position in the source, then one more dimension for each `flat_map` on the way.
        value: The value itself.
    """

    index: tuple[int, ...]  # type: ignore[assignment]  # hides tuple.index, which nobody needs here
    value: Any

    def set(self, value: Any) -> Element:
        """Another value at the same index.

        Args:
            value: The new value.

        Returns:
            A new element.

        Example:
            >>> from pypeln import Element
            >>> Element((3, 0), "a").set("b")
            Element(index=(3, 0), value='b')
        """
        return Element(self.index, value)
