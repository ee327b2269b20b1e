"""Draw arrays.svg: which memory an array lies in on its way through two process stages.

    python docs/images/arrays.py [FILE]

Colours and shapes are those of _drawing.py.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

from _drawing import DARK, LIGHT, box, rules, text

WIDTH = 1000
ROW_H, TOP = 118, 92
COLUMNS = {"parent": 110, "first": 340, "second": 570, "consumer": 830}

# What happens in each row: its title, what lies in each process, and what an arrow between two of them is.
OWN, BLOCK, VIEW = "own", "block", "view"
ROWS = (
    (
        "passed on: return x, x[2:], x.T, {'a': x}",
        ((OWN, "x"), (VIEW, "view"), (VIEW, "view"), (VIEW, "view")),
        ("copy", "reference", "reference"),
    ),
    (
        "computed: return x * 2",
        ((OWN, "x"), (VIEW, "view; x * 2 is born"), (VIEW, "view; x * 2 is born"), (VIEW, "view")),
        ("copy", "reference", "reference"),
    ),
    (
        "still held: cache.append(x); return x",
        ((OWN, "x"), (VIEW, "view, kept"), (VIEW, "view"), (VIEW, "view")),
        ("copy", "copy", "reference"),
    ),
    (
        "filled in place: x = pr.empty(...) in the source",
        ((BLOCK, "x is born"), (VIEW, "view"), (VIEW, "view"), (VIEW, "view")),
        ("reference", "reference", "reference"),
    ),
    (
        "too much is kept: list(stage) of more than the memory of the queue",
        ((OWN, "x"), (VIEW, "view"), (VIEW, "view"), (OWN, "copied out")),
        ("copy", "reference", "copy"),
    ),
)


def cell(x: float, y: float, kind: str, label: str) -> str:
    """Where the array lies, as one process sees it."""
    style = {OWN: "thread", BLOCK: "process", VIEW: "task"}[kind]
    return box(x - 80, y - 17, 160, 34, style) + text(x, y + 5, label, size=13)


def hop(x1: float, x2: float, y: float, what: str) -> str:
    """From one process to the next."""
    flow, tip = ("wait", "waittip") if what == "copy" else ("flow", "tip")
    width = 3 if what == "copy" else 1.5
    return (
        f'<path class="{flow}" d="M{x1:g},{y:g} L{x2 - 6:g},{y:g}" stroke-width="{width:g}"/>'
        f'<path class="{tip}" d="M{x2 - 8:g},{y - 5:g} L{x2:g},{y:g} L{x2 - 8:g},{y + 5:g} Z"/>'
        + text((x1 + x2) / 2, y - 8, what, "note", 12)
    )


def drawing() -> str:
    """The whole picture."""
    height = TOP + ROW_H * len(ROWS) - 18
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>When arrays are copied between processes, and when not</title>",
        f"<style>.sans{{font-family:system-ui,sans-serif;text-anchor:middle}}"
        f".mono{{font-family:ui-monospace,monospace;text-anchor:middle}}{rules(LIGHT)}"
        f"@media(prefers-color-scheme:dark){{{rules(DARK)}}}</style>",
        box(1, 1, WIDTH - 2, height - 2, "panel", 10),
    ]
    names = ("your program", "pr.map(f)", "pr.map(g)", "your program")
    for x, name in zip(COLUMNS.values(), names, strict=True):
        parts.append(text(x, 40, name, size=15))
    for number, (title, cells, hops) in enumerate(ROWS):
        y = TOP + ROW_H * number
        parts.append(text(WIDTH / 2, y - 14, title, "note", 13))
        places = list(COLUMNS.values())
        for x, (kind, label) in zip(places, cells, strict=True):
            parts.append(cell(x, y + 26, kind, label))
        for (x1, x2), what in zip(pairwise(places), hops, strict=True):
            parts.append(hop(x1 + 84, x2 - 84, y + 26, what))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    default = Path(__file__).with_name("arrays.svg")
    (Path(sys.argv[1]) if len(sys.argv) > 1 else default).write_text(drawing(), encoding="utf-8")
