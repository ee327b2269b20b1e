"""Draw zero_copy.svg: an array goes through two processes, and only its reference travels.

python docs/images/zero_copy.py [FILE]
"""

from __future__ import annotations

from _drawing import arrow, box, down, picture, save, text

WIDTH, HEIGHT = 1000, 380
TOP, PLACE_H = 62, 84
ARENA, MIDDLE = 232, 196


def place(x: float, style: str, title: str, code: str) -> str:
    """A process with what it does to the array."""
    return "".join(
        [
            box(x, TOP, 190, PLACE_H, style, radius=10),
            text(x + 95, TOP + 32, title, "title", 13),
            text(x + 95, TOP + 58, code, "note", 13),
        ]
    )


def reference(x: float) -> str:
    """What travels in a ring: a description, no data."""
    return "".join(
        [
            arrow(x - 64, TOP + PLACE_H / 2, x - 36, TOP + PLACE_H / 2),
            box(x - 34, TOP + PLACE_H / 2 - 15, 68, 30, "cell", radius=4),
            text(x, TOP + PLACE_H / 2 + 4, "block 3", "note", 12),
            arrow(x + 36, TOP + PLACE_H / 2, x + 64, TOP + PLACE_H / 2),
        ]
    )


def arena() -> str:
    """Blocks of shared memory; the third has the array."""
    parts = [
        box(60, ARENA, 880, 92, "stage", radius=10),
        text(
            80,
            ARENA + 80,
            "arena, in shared memory: blocks that are used again and again",
            "note",
            12,
            at="start",
        ),
    ]
    for number in range(6):
        x = 80 + number * 142
        style = "task" if number == 3 else "cell"
        parts.append(box(x, ARENA + 16, 128, 42, style, radius=4))
        parts.append(
            text(x + 64, ARENA + 42, "block 3: the array" if number == 3 else f"block {number}", "note", 12)
        )
    return "".join(parts)


def elbow(x1: float, x2: float) -> str:
    """From a process down to the block, by way of the line between them."""
    path = f"M{x1:g},{TOP + PLACE_H:g} L{x1:g},{MIDDLE:g} L{x2:g},{MIDDLE:g}"
    line = f'<path class="flow" d="{path}" fill="none" stroke-width="1.5"/>'
    return line + down(x2, MIDDLE, ARENA + 14)


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    x = 80 + 3 * 142
    parts = [
        place(60, "process", "process of stage 1", "return a * 2"),
        reference(314),
        place(378, "process", "process of stage 2", "return a"),
        reference(632),
        place(696, "end", "your loop", "for a in stage"),
        text(314, 46, "some 100 bytes travel", "note", 12),
        text(632, 46, "some 100 bytes travel", "note", 12),
        arena(),
        elbow(155, x + 20),
        text(250, MIDDLE - 8, "the result is born here", "note", 12),
        down(x + 47, TOP + PLACE_H, ARENA + 14),
        text(x + 56, MIDDLE - 20, "a view", "note", 12, at="start"),
        elbow(791, x + 100),
        text(700, MIDDLE - 8, "a view of the same block", "note", 12),
        text(500, 354, "no byte of the array is copied after it has been computed", "note", 13),
    ]
    return picture("An array stays in its block while references to it travel", WIDTH, HEIGHT, parts)


if __name__ == "__main__":
    save(__file__, draw())
