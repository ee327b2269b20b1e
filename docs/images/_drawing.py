"""What the pictures share: colours that follow the reader's theme, and shapes as SVG text.

Each picture brings its own background, so that it can be read wherever it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

LIGHT = {
    "panel": "fill:#ffffff;stroke:#d8dee4",
    "title": "fill:#1f2328",
    "note": "fill:#59636e",
    "stage": "fill:#f6f8fa;stroke:#d1d9e0",
    "flow": "stroke:#8b949e",
    "tip": "fill:#8b949e",
    "cell": "fill:#ffffff;stroke:#8b949e",
    "element": "fill:#8250df",
    "task": "fill:#dafbe1;stroke:#1a7f37",
    "process": "fill:#ddf4ff;stroke:#0969da",
    "thread": "fill:#fff1e5;stroke:#bc4c00",
    "end": "fill:#f6f8fa;stroke:#59636e",
    "wait": "stroke:#cf222e",
    "waittip": "fill:#cf222e",
}
DARK = {
    "panel": "fill:#0d1117;stroke:#30363d",
    "title": "fill:#f0f6fc",
    "note": "fill:#9198a1",
    "stage": "fill:#151b23;stroke:#3d444d",
    "flow": "stroke:#7d8590",
    "tip": "fill:#7d8590",
    "cell": "fill:#0d1117;stroke:#7d8590",
    "element": "fill:#ab7df8",
    "task": "fill:#12261e;stroke:#3fb950",
    "process": "fill:#121d2f;stroke:#4493f8",
    "thread": "fill:#2a1d12;stroke:#db8a4a",
    "end": "fill:#151b23;stroke:#9198a1",
    "wait": "stroke:#f85149",
    "waittip": "fill:#f85149",
}


def rules(theme: dict[str, str]) -> str:
    """The CSS rules of a theme."""
    return "".join(f".{name}{{{style}}}" for name, style in theme.items())


def text(x: float, y: float, content: str, style: str = "title", size: int = 14, at: str = "middle") -> str:
    """A line of text, centred at x or beginning or ending there; code is what looks like a call."""
    family = "mono" if "(" in content or "=" in content else "sans"
    anchor = "" if at == "middle" else f' style="text-anchor:{at}"'
    return f'<text class="{style} {family}" x="{x:g}" y="{y:g}" font-size="{size}"{anchor}>{content}</text>'


def box(x: float, y: float, w: float, h: float, style: str, radius: float = 6) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}" '
        'stroke-width="1.5"/>'
    )


def dot(x: float, y: float, style: str = "element", radius: float = 5) -> str:
    """An element."""
    return f'<circle class="{style}" cx="{x:g}" cy="{y:g}" r="{radius:g}"/>'


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A curve along which elements flow, with a tip at its end."""
    middle = (x1 + x2) / 2
    curve = f"M{x1:g},{y1:g} C{middle:g},{y1:g} {middle:g},{y2:g} {x2 - 5:g},{y2:g}"
    tip = f"M{x2 - 6:g},{y2 - 4:g} L{x2:g},{y2:g} L{x2 - 6:g},{y2 + 4:g} Z"
    return f'<path class="flow" d="{curve}" fill="none" stroke-width="1.5"/><path class="tip" d="{tip}"/>'


def down(x: float, y1: float, y2: float, style: str = "flow", tip_style: str = "tip") -> str:
    """A vertical arrow, down or up."""
    back = -6 if y2 > y1 else 6
    tip = f"M{x - 4:g},{y2 + back:g} L{x:g},{y2:g} L{x + 4:g},{y2 + back:g} Z"
    return (
        f'<path class="{style}" d="M{x:g},{y1:g} L{x:g},{y2 + back:g}" fill="none" stroke-width="1.5"/>'
        f'<path class="{tip_style}" d="{tip}"/>'
    )


def numbered(x: float, y: float, number: int) -> str:
    """A step that the notes below explain."""
    return (
        f'<circle class="end" cx="{x:g}" cy="{y:g}" r="10" stroke-width="1.5"/>'
        f'<text class="title sans" x="{x:g}" y="{y + 4:g}" font-size="12">{number}</text>'
    )


def steps(notes: Iterable[str], x: float, y: float, width: float, rows: int) -> str:
    """The explanations of numbered steps, in columns."""
    parts = []
    for index, note in enumerate(notes):
        left, top = x + index // rows * width, y + index % rows * 26
        parts += [numbered(left, top, index + 1), text(left + 18, top + 4, note, "note", 13, at="start")]
    return "".join(parts)


def picture(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """The text of an SVG file: a panel with these parts on it."""
    panel = box(0.75, 0.75, width - 1.5, height - 1.5, "panel", radius=12)
    style = (
        "text{text-anchor:middle}"
        ".sans{font-family:-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif}"
        ".mono{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
        + rules(LIGHT)
        + f"@media (prefers-color-scheme:dark){{{rules(DARK)}}}"
    )
    body = "\n".join([panel, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" viewBox="0 0 {width} {height}">\n'
        f"<title>{title}</title>\n"
        f"<style>{style}</style>\n{body}\n</svg>\n"
    )


def save(script: str, drawn: str) -> None:
    """Write a picture beside its script, or into the file that the command names."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(script).with_suffix(".svg")
    target.write_text(drawn, encoding="utf-8")
