"""Says on an error in which stage, and at which element, it was raised."""

from __future__ import annotations


def note_place(error: BaseException, stage_name: str, index: tuple[int, ...] | None = None) -> None:
    """Adds a note that tracebacks show; before Python 3.11 it is kept in the same attribute, and not shown.

    Args:
        error: Stays what it is, but for the note.
        stage_name: Name of the stage in its plan.
        index: `element_index` of the element in hand; None when there was none.
    """
    note = f"stage {stage_name}" + ("" if index is None else f", element_index {index}")
    notes = list(getattr(error, "__notes__", ()))
    if note not in notes:
        error.__notes__ = [*notes, note]  # type: ignore[attr-defined,unused-ignore]
