"""Draw run.svg: where everything of a run lives, for io, pr and th stages in a row.

python docs/images/run.py [FILE]
"""

from __future__ import annotations

from _drawing import arrow, box, dot, down, picture, save, text

WIDTH, HEIGHT = 1000, 500
HOSTS, HOST_H = 78, 60  # the row of threads in the program
SEGMENT, SEGMENT_H = 226, 112
STAGE, STAGE_H = 386, 84


def host(x: float, w: float, style: str, title: str, what: str) -> str:
    """A thread of the program, and what it does."""
    return "".join(
        [
            box(x, HOSTS, w, HOST_H, style, radius=8),
            text(x + w / 2, HOSTS + 26, title, "title", 13),
            text(x + w / 2, HOSTS + 46, what, "note", 12),
        ]
    )


def ring(x: float, filled: int) -> str:
    """A ring of slots in the segment, centred at x."""
    parts = [text(x, SEGMENT + 62, "ring", "note", 12)]
    for number in range(6):
        left = x - 78 + number * 26
        parts.append(box(left, SEGMENT + 16, 26, 28, "cell", radius=2))
        if number < filled:
            parts.append(dot(left + 13, SEGMENT + 30))
    return "".join(parts)


def part(x: float, title: str, what: str) -> str:
    """Something else in the segment."""
    return "".join(
        [
            box(x, SEGMENT + 16, 84, 28, "cell", radius=4),
            text(x + 42, SEGMENT + 35, title, "title", 12),
            text(x + 42, SEGMENT + 62, what, "note", 12),
        ]
    )


def watching() -> str:
    """From the supervisor down and to the processes."""
    y = STAGE + STAGE_H / 2
    path = f"M885,{HOSTS + HOST_H:g} L885,{y:g} L631,{y:g}"
    tip = f"M632,{y - 4:g} L626,{y:g} L632,{y + 4:g} Z"
    return (
        f'<path class="flow" d="{path}" fill="none" stroke-width="1.5" stroke-dasharray="5 4"/>'
        f'<path class="tip" d="{tip}"/>' + text(756, y - 10, "starts, watches, replaces", "note", 12)
    )


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    middle = HOSTS + HOST_H / 2
    parts = [
        box(30, 28, 940, 144, "stage", radius=10),
        text(50, 54, "your program: one process", "note", 13, at="start"),
        host(50, 120, "thread", "source", "a thread"),
        arrow(170, middle, 230, middle),
        host(230, 150, "task", "event loop", "a thread, 4 tasks"),
        host(470, 130, "thread", "worker", "a thread"),
        arrow(600, middle, 660, middle),
        host(660, 120, "end", "your loop", "for x in saved"),
        host(820, 130, "cell", "supervisor", "a thread"),
        text(200, 160, "references", "note", 12),
        text(630, 160, "references", "note", 12),
        box(30, SEGMENT, 150, SEGMENT_H, "stage", radius=10),
        part(63, "arena", "arrays, large data"),
        text(105, SEGMENT + 96, "one for each queue", "note", 12),
        box(200, SEGMENT, 640, SEGMENT_H, "stage", radius=10),
        text(420, SEGMENT + 96, "one segment of shared memory", "note", 12),
        ring(305, 4),
        ring(535, 2),
        part(640, "leases", "in hand"),
        part(736, "counters", "stats()"),
        down(305, HOSTS + HOST_H, SEGMENT + 14),
        down(305, SEGMENT + 68, STAGE - 2),
        down(535, STAGE, SEGMENT + 68),
        down(535, SEGMENT + 14, HOSTS + HOST_H + 2),
        box(215, STAGE, 410, STAGE_H, "stage", radius=10),
        box(235, STAGE + 16, 175, 36, "process", radius=6),
        box(430, STAGE + 16, 175, 36, "process", radius=6),
        text(322, STAGE + 39, "process", "title", 13),
        text(517, STAGE + 39, "process", "title", 13),
        text(420, STAGE + 72, "pr.map(count, workers=2)", "note", 12),
        watching(),
    ]
    return picture("Where the parts of a run live", WIDTH, HEIGHT, parts)


if __name__ == "__main__":
    save(__file__, draw())
