"""A picture of a result file: how many times as good as the best library pypeln is, case by case, as SVG.

It brings its own background and follows the reader's light or dark theme, as all pictures of the README do.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from math import log10
from typing import Any

from harness.case import Role
from harness.published import Column, columns_of
from harness.report import times

WIDTH = 1000
ROW_HEIGHT = 24
# Where the rows begin, and what is below them.
TOP, BOTTOM = 78, 44
# The x of the smallest and the largest ratio on the axis; names stand to the left, figures to the right.
LEFT, RIGHT = 480, 900
LEAST, MOST = 1e-4, 1e2
# The x of the titles, and how many characters of one have room there.
TITLES, LONGEST_TITLE = 170, 52

LIGHT = {
    "panel": "fill:#ffffff;stroke:#d8dee4",
    "title": "fill:#1f2328",
    "note": "fill:#59636e",
    "grid": "stroke:#d1d9e0",
    "one": "stroke:#59636e",
    "better": "fill:#1a7f37",
    "worse": "fill:#cf222e",
    "hand": "fill:none;stroke:#bc4c00",
    "old": "fill:#8b949e",
}
DARK = {
    "panel": "fill:#0d1117;stroke:#30363d",
    "title": "fill:#f0f6fc",
    "note": "fill:#9198a1",
    "grid": "stroke:#30363d",
    "one": "stroke:#9198a1",
    "better": "fill:#3fb950",
    "worse": "fill:#f85149",
    "hand": "fill:none;stroke:#db8a4a",
    "old": "fill:#7d8590",
}


def chart(cases: Iterable[dict[str, Any]], caption: str) -> str:
    """Return the picture of those cases that have a library to compare with, a row for each worker count."""
    columns = [column for case in cases for column in columns_of(case) if column.best(Role.PEER)]
    columns = [column for column in columns if column.best(Role.PYPELN)]
    bottom = TOP + ROW_HEIGHT * len(columns)
    parts = [*_axis(bottom), *_legend()]
    for number, column in enumerate(columns):
        parts += _row(column, TOP + ROW_HEIGHT * number + ROW_HEIGHT / 2)
    parts.append(_text(24, bottom + 34, caption, "note", 11))
    height = bottom + BOTTOM
    style = (
        "text{font-family:-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif}"
        f"{_rules(LIGHT)}@media (prefers-color-scheme:dark){{{_rules(DARK)}}}"
    )
    panel = (
        f'<rect class="panel" x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{height - 1.5}" rx="12" '
        'stroke-width="1.5"/>'
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {height}">\n'
        "<title>pypeln beside the best library of each benchmark case</title>"
    )
    return "\n".join([head, f"<style>{style}</style>", panel, *parts, "</svg>", ""])


def _axis(bottom: float) -> list[str]:
    parts = [_text(24, 32, "Times as good as the best other library at its best chunk size", "title", 17)]
    for power in range(round(log10(LEAST)), round(log10(MOST)) + 1):
        x = _x(10.0**power)
        kind = "one" if power == 0 else "grid"
        parts.append(
            f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke-width="1"/>'
        )
        label = f"{10**power}x" if power >= 0 else f"1/{10**-power:,}"
        parts.append(_text(x, bottom + 16, label, "note", 11, anchor="middle"))
    return parts


def _legend() -> list[str]:
    y = 56
    return [
        f'<rect class="better" x="{LEFT}" y="{y - 5}" width="22" height="9" rx="2"/>',
        _text(LEFT + 28, y + 4, "pypeln", "note", 12),
        f'<circle class="hand" cx="{LEFT + 100}" cy="{y}" r="4" stroke-width="1.5"/>',
        _text(LEFT + 110, y + 4, "written by hand for this one task", "note", 12),
        f'<circle class="old" cx="{LEFT + 322}" cy="{y}" r="4"/>',
        _text(LEFT + 332, y + 4, "pypeln 0.4.9", "note", 12),
    ]


def _row(column: Column, y: float) -> list[str]:
    peer = column.best(Role.PEER)
    ratio = column.ratio(column.best(Role.PYPELN), peer)
    assert ratio is not None
    one, x = _x(1), _x(ratio)
    kind = "better" if ratio >= 1 else "worse"
    name = column.case["case"]
    if len(columns_of(column.case)) > 1:
        name += f", {column.label}"
    parts = [
        _text(24, y + 4, name, "title", 13),
        _text(TITLES, y + 4, _shortened(column.case["title"]), "note", 11),
        f'<rect class="{kind}" x="{min(one, x):.1f}" y="{y - 5}" width="{max(abs(x - one), 2):.1f}" '
        'height="9" rx="2"/>',
        _text(RIGHT + 20, y + 4, times(ratio), "title", 13),
    ]
    for role, shape in ((Role.CEILING, 'class="hand" stroke-width="1.5"'), (Role.OLD, 'class="old"')):
        other = column.ratio(column.best(role), peer)
        if other is not None:
            parts.append(f'<circle {shape} cx="{_x(other):.1f}" cy="{y}" r="4"/>')
    return parts


def _shortened(title: str) -> str:
    """What fits between the names and the axis: without what follows the last comma, or in parentheses."""
    if len(title) <= LONGEST_TITLE:
        return title
    room = title[: LONGEST_TITLE + 1]
    end = max(room.rfind(", "), room.rfind(" ("))
    return room[:end] if end > 0 else f"{room[: LONGEST_TITLE - 1].rstrip()}…"


def _x(ratio: float) -> float:
    share = (log10(min(max(ratio, LEAST), MOST)) - log10(LEAST)) / (log10(MOST) - log10(LEAST))
    return LEFT + share * (RIGHT - LEFT)


def _text(x: float, y: float, content: str, style: str, size: int, anchor: str = "start") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def _rules(theme: dict[str, str]) -> str:
    return "".join(f".{name}{{{style}}}" for name, style in theme.items())
