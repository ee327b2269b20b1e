"""Draw architecture.svg: the stages, workers and queues of the README's first pipeline.

python docs/images/architecture.py [FILE]
"""

from __future__ import annotations

from collections.abc import Sequence

from _drawing import arrow, box, dot, picture, save, text

WIDTH, HEIGHT = 1000, 372
AXIS = 172  # the height of the line along which elements flow

CELL_W, CELL_H = 30, 18
WORKER_W, WORKER_H, WORKER_GAP = 96, 30, 10


def queue(x: float, places: int, filled: int, label: str) -> str:
    """A bounded queue: a column of places, the lower ones filled with elements."""
    top = AXIS - places * CELL_H / 2
    parts = []
    for place in range(places):
        y = top + place * CELL_H
        parts.append(box(x, y, CELL_W, CELL_H, "cell", radius=3))
        if place >= places - filled:
            parts.append(dot(x + CELL_W / 2, y + CELL_H / 2))
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
    title = "Three stages: four tasks, two processes and one thread, joined by bounded queues"
    return picture(title, WIDTH, HEIGHT, parts)


if __name__ == "__main__":
    save(__file__, draw())
