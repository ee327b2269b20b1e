"""What an error does not say of itself: in which stage, at which element, why nothing can be started."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from pypeln._core.shared import ElementTooLarge
from pypeln.errors import EncodeError


def note_place(error: BaseException, stage_name: str, index: tuple[int, ...] | None = None) -> None:
    """Adds a note that tracebacks show; before Python 3.11 only that of a process does, `traceback_text`.

    Args:
        error: Stays what it is, but for the note.
        stage_name: Name of the stage in its plan.
        index: `element_index` of the element in hand; None when there was none.
    """
    add_note(error, f"stage {stage_name}" + ("" if index is None else f", element_index {index}"))


def add_note(error: BaseException, note: str) -> None:
    """Adds a note to an error, once."""
    notes = list(getattr(error, "__notes__", ()))
    if note not in notes:
        error.__notes__ = [*notes, note]  # type: ignore[attr-defined,unused-ignore]


def note_end_of_main_thread(error: BaseException) -> None:
    """Adds what keeps threads and processes from being started, where it is CPython's gh-113964."""
    if (
        (3, 12) <= sys.version_info[:3] <= (3, 12, 2)
        and isinstance(error, RuntimeError)
        and not threading.main_thread().is_alive()
    ):
        add_note(
            error,
            "the main thread has ended, and CPython 3.12.0 to 3.12.2 start nothing after that: have it join "
            "the threads that run pipelines",
        )


def unsendable(stage_name: str) -> Callable[[Exception, tuple[int, ...]], Exception]:
    """What to raise when an element cannot be put: an error that names stage and element."""

    def wrap(error: Exception, index: tuple[int, ...]) -> Exception:
        where = f"stage {stage_name} cannot send element {index} to another process"
        if isinstance(error, MemoryError):
            return MemoryError(f"{where}: {error}")
        if isinstance(error, ElementTooLarge):
            return EncodeError(f"{where}: {error}")
        return EncodeError(
            f"{where}: {type(error).__name__}: {error}. Return something that pickle can handle, or use "
            "threads for the stage that takes it"
        )

    return wrap
