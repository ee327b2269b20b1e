"""Draw waiting.svg: how a consumer waits in a fast stream, when nothing comes, and in a slow one.

python docs/images/waiting.py [FILE]
"""

from __future__ import annotations

from _drawing import arrow, box, dot, down, picture, save, text

WIDTH, HEIGHT = 1000, 330
LEFT = 130
PRODUCER, CONSUMER = 92, 178
BAR = 34

# What the consumer does: style, width, label.
TIMES = (
    ("process", 110, "works"),
    ("nap", 84, "nap"),
    ("process", 100, "works"),
    ("nap", 84, "nap"),
    ("nap", 84, "nap"),
    ("park", 130, "parked"),
    ("process", 70, "works"),
    ("wait", 26, ""),
    ("park", 112, "parked"),
)
# How many of these lie before the wake.
ASLEEP = 6


def consumer() -> str:
    """The bar of what the consumer does."""
    parts = []
    x = float(LEFT)
    for style, width, label in TIMES:
        if style == "wait":
            parts.append(box(x, CONSUMER, width, BAR, "thread", radius=3))
        else:
            shown = {"process": "process", "nap": "task", "park": "end"}[style]
            parts.append(box(x, CONSUMER, width, BAR, shown, radius=3))
            parts.append(text(x + width / 2, CONSUMER + 22, label, "title", 13))
        x += width
    return "".join(parts)


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    fast = [LEFT + 8 + n * 13 for n in range(29)]
    wake_x = LEFT + sum(width for _, width, _ in TIMES[:ASLEEP])
    parts = [
        text(LEFT - 16, PRODUCER + 5, "producer", "title", 13, at="end"),
        text(LEFT - 16, CONSUMER + 22, "consumer", "title", 13, at="end"),
        *[dot(x, PRODUCER, radius=4) for x in fast],
        dot(wake_x, PRODUCER, radius=4),
        text(LEFT + 200, 52, "puts, one after the other, and wakes nobody", "note", 13),
        text(wake_x, 52, "one put, one wake", "note", 13),
        down(wake_x, PRODUCER + 8, CONSUMER - 2, "wait", "waittip"),
        consumer(),
        arrow(LEFT, 246, 944, 246),
        text(920, 266, "time", "note", 12),
        box(LEFT, 284, 18, 18, "thread", radius=3),
        text(LEFT + 26, 298, "spins, about a microsecond", "note", 13, at="start"),
        box(LEFT + 250, 284, 18, 18, "task", radius=3),
        text(LEFT + 276, 298, "naps of 30 microseconds, longer if others cope", "note", 13, at="start"),
        box(LEFT + 550, 284, 18, 18, "end", radius=3),
        text(LEFT + 576, 298, "sleeps in the kernel", "note", 13, at="start"),
    ]
    return picture(
        "A consumer naps while elements come fast, parks when none comes, and spins where they come slowly",
        WIDTH,
        HEIGHT,
        parts,
    )


if __name__ == "__main__":
    save(__file__, draw())
