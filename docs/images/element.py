"""Draw element.svg: one element on its way through a stage of processes.

python docs/images/element.py [FILE]
"""

from __future__ import annotations

from _drawing import arrow, box, dot, numbered, picture, save, steps, text

WIDTH, HEIGHT = 1000, 400
AXIS = 150
SLOT = 34

NOTES = (
    "encoded: in place, as a pickle, or as a block",
    "put: one step claims a slot and signs it",
    "taken: it moves into the worker's lease",
    "f is called with it",
    "published: from here on the result is out",
    "decided: counted once, and the lease is cleared",
    "delivered, with ordered when its turn has come",
)


def ring(x: float, filled: tuple[int, ...], label: str) -> str:
    """Slots in a row; those that are filled have an element."""
    parts = [text(x + 2 * SLOT, AXIS - 40, label, "note", 12)]
    for slot in range(4):
        parts.append(box(x + slot * SLOT, AXIS - SLOT / 2, SLOT, SLOT, "cell", radius=3))
        if slot in filled:
            parts.append(dot(x + (slot + 0.5) * SLOT, AXIS))
    return "".join(parts)


def worker(x: float) -> str:
    """A worker process: its lease, and the function."""
    return "".join(
        [
            box(x, AXIS - 86, 196, 150, "process", radius=10),
            text(x + 98, AXIS - 62, "worker process", "title", 13),
            box(x + 18, AXIS - 22, 62, 44, "cell", radius=4),
            dot(x + 49, AXIS),
            text(x + 49, AXIS + 40, "lease", "note", 12),
            arrow(x + 80, AXIS, x + 116, AXIS),
            box(x + 116, AXIS - 22, 62, 44, "end", radius=8),
            text(x + 147, AXIS + 5, "f(x)", "title", 14),
        ]
    )


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    parts = [
        box(28, AXIS - 30, 100, 60, "end", radius=8),
        text(78, AXIS - 4, "source"),
        text(78, AXIS + 15, "a thread", "note", 12),
        arrow(128, AXIS, 178, AXIS),
        numbered(78, AXIS - 52, 1),
        numbered(153, AXIS - 22, 2),
        ring(178, (1, 2, 3), "ring in shared memory"),
        worker(364),
        arrow(314, AXIS, 382, AXIS),
        numbered(338, AXIS - 22, 3),
        numbered(462, AXIS - 40, 4),
        arrow(542, AXIS, 622, AXIS),
        numbered(592, AXIS - 22, 5),
        numbered(413, AXIS + 80, 6),
        ring(622, (2, 3), "ring in shared memory"),
        arrow(758, AXIS, 826, AXIS),
        numbered(792, AXIS - 22, 7),
        box(826, AXIS - 30, 140, 60, "end", radius=8),
        text(896, AXIS - 4, "your loop"),
        text(896, AXIS + 15, "for y in stage", "note", 12),
        steps(NOTES, 52, 286, 480, 4),
    ]
    return picture("The life of an element in a stage of processes", WIDTH, HEIGHT, parts)


if __name__ == "__main__":
    save(__file__, draw())
