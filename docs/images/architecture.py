"""Draw architecture.svg: the stages, workers and queues of the README's first pipeline.

    python docs/images/architecture.py [FILE]

The picture brings its own background and follows the reader's light or dark theme, so that it can be read
wherever the README is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT = 1000, 372
AXIS = 172  # the height of the line along which elements flow

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

CELL_W, CELL_H = 30, 18
WORKER_W, WORKER_H, WORKER_GAP = 96, 30, 10


def rules(theme: dict[str, str]) -> str:
    """The CSS rules of a theme."""
    return "".join(f".{name}{{{style}}}" for name, style in theme.items())


def text(x: float, y: float, content: str, style: str = "title", size: int = 14) -> str:
    """A line of text, centred at x; code is what looks like a call."""
    family = "mono" if "(" in content or "=" in content else "sans"
    return f'<text class="{style} {family}" x="{x:g}" y="{y:g}" font-size="{size}">{content}</text>'


def box(x: float, y: float, w: float, h: float, style: str, radius: float = 6) -> str:
    """A rectangle with round corners."""
    return (
        f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}" '
        'stroke-width="1.5"/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A curve along which elements flow, with a tip at its end."""
    middle = (x1 + x2) / 2
    curve = f"M{x1:g},{y1:g} C{middle:g},{y1:g} {middle:g},{y2:g} {x2 - 5:g},{y2:g}"
    tip = f"M{x2 - 6:g},{y2 - 4:g} L{x2:g},{y2:g} L{x2 - 6:g},{y2 + 4:g} Z"
    return f'<path class="flow" d="{curve}" fill="none" stroke-width="1.5"/><path class="tip" d="{tip}"/>'


def queue(x: float, places: int, filled: int, label: str) -> str:
    """A bounded queue: a column of places, the lower ones filled with elements."""
    top = AXIS - places * CELL_H / 2
    parts = []
    for place in range(places):
        y = top + place * CELL_H
        parts.append(box(x, y, CELL_W, CELL_H, "cell", radius=3))
        if place >= places - filled:
            parts.append(f'<circle class="element" cx="{x + CELL_W / 2:g}" cy="{y + CELL_H / 2:g}" r="5"/>')
    parts.append(text(x + CELL_W / 2, top + places * CELL_H + 20, label, "note", 12))
    return "".join(parts)


def worker_heights(workers: int) -> list[float]:
    """The middle of each worker of a stage."""
    step = WORKER_H + WORKER_GAP
    return [AXIS + (number - (workers - 1) / 2) * step for number in range(workers)]


def stage(x: float, w: float, call: str, style: str, workers: int, place: str) -> str:
    """A stage: its call above, its workers inside, where they live below."""
    parts = [box(x, 62, w, 220, "stage", radius=10), text(x + w / 2, 50, call, "title", 13)]
    radius = 15 if style == "task" else 5
    for y in worker_heights(workers):
        parts.append(box(x + (w - WORKER_W) / 2, y - WORKER_H / 2, WORKER_W, WORKER_H, style, radius))
        parts.append(text(x + w / 2, y + 5, style))
    parts.append(text(x + w / 2, 272, place, "note", 12))
    return "".join(parts)


def fan(x1: float, x2: float, starts: Sequence[float], ends: Sequence[float]) -> str:
    """Arrows from every start to every end."""
    return "".join(arrow(x1, start, x2, end) for start in starts for end in ends)


def back_pressure() -> str:
    """The dashed line along the bottom: waiting travels against the flow."""
    y = 318
    return (
        f'<path class="wait" d="M880,{y} L126,{y}" fill="none" stroke-width="1.5" stroke-dasharray="6 5"/>'
        f'<path class="waittip" d="M126,{y - 4} L118,{y} L126,{y + 4} Z"/>'
        + text(
            500,
            y + 28,
            "workers bound the CPU, queues bound the memory: a full queue makes the stage before it wait",
            "note",
            13,
        )
    )


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    tasks, processes, threads = worker_heights(4), worker_heights(2), worker_heights(1)
    on_axis = [float(AXIS)]
    parts = [
        box(0.75, 0.75, WIDTH - 1.5, HEIGHT - 1.5, "panel", radius=12),
        box(24, AXIS - 26, 92, 52, "end", radius=8),
        text(70, AXIS - 4, "source"),
        text(70, AXIS + 14, "any iterable", "note", 12),
        fan(116, 142, on_axis, on_axis),
        queue(142, 4, 3, "maxsize=4"),
        stage(200, 140, "io.map(fetch, workers=4)", "task", 4, "in one event loop"),
        fan(172, 222, on_axis, tasks),
        fan(318, 370, tasks, on_axis),
        queue(370, 6, 2, "maxsize=6"),
        stage(430, 140, "pr.map(count, workers=2)", "process", 2, "an interpreter each"),
        fan(400, 452, on_axis, processes),
        fan(548, 600, processes, on_axis),
        queue(600, 4, 3, "maxsize=4"),
        stage(660, 140, "th.map(save, workers=1)", "thread", 1, "in your process"),
        fan(630, 682, on_axis, threads),
        fan(778, 826, threads, on_axis),
        queue(826, 4, 1, "results"),
        fan(856, 882, on_axis, on_axis),
        box(882, AXIS - 26, 94, 52, "end", radius=8),
        text(929, AXIS - 4, "your loop"),
        text(929, AXIS + 14, "for x in saved", "note", 12),
        back_pressure(),
    ]
    style = (
        "text{text-anchor:middle}"
        ".sans{font-family:-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif}"
        ".mono{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
        + rules(LIGHT)
        + f"@media (prefers-color-scheme:dark){{{rules(DARK)}}}"
    )
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" viewBox="0 0 {WIDTH} {HEIGHT}">\n'
        "<title>Three stages: four tasks, two processes and one thread, joined by bounded queues</title>\n"
        f"<style>{style}</style>\n{body}\n</svg>\n"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg")
    target.write_text(draw(), encoding="utf-8")
