"""Draw death.svg: a worker process dies, and another takes its place and its element.

python docs/images/death.py [FILE]
"""

from __future__ import annotations

from _drawing import arrow, box, dot, down, numbered, picture, save, steps, text

WIDTH, HEIGHT = 1000, 452
LEFT = 150
LANES = {"worker": 70, "supervisor": 140, "replacement": 210, "others": 280}
BAR = 34
DIES = 380

NOTES = (
    "the kernel tells of the death, at once",
    "the lease says which element it had in hand",
    "settled: is its last result out, or not?",
    "mended: slots, blocks; everybody is woken",
    "another process takes the place and the lease",
    "f runs again; what is out is not sent again",
)


def bar(lane: str, x: float, width: float, style: str, label: str) -> str:
    """Something that takes time."""
    y = LANES[lane] - BAR / 2
    return box(x, y, width, BAR, style, radius=4) + text(x + width / 2, y + 22, label, "title", 13)


def cross(x: float, y: float) -> str:
    """Where something ends that did not want to."""
    stroke = f"M{x - 9:g},{y - 9:g} L{x + 9:g},{y + 9:g} M{x + 9:g},{y - 9:g} L{x - 9:g},{y + 9:g}"
    return f'<path class="wait" d="{stroke}" fill="none" stroke-width="3"/>'


def draw() -> str:
    """The whole picture, as the text of an SVG file."""
    parts = [text(LEFT - 20, y + 5, lane, "title", 13, at="end") for lane, y in LANES.items()]
    parts += [
        bar("worker", LEFT, 100, "process", "f(1)"),
        bar("worker", LEFT + 104, DIES - LEFT - 104, "process", "f(3)"),
        cross(DIES, LANES["worker"]),
        text(DIES + 18, LANES["worker"] + 5, "SIGKILL", "note", 13, at="start"),
        down(DIES, LANES["worker"] + 22, LANES["supervisor"] - 20, "wait", "waittip"),
        numbered(DIES - 20, LANES["worker"] + 34, 1),
        bar("supervisor", DIES - 18, 92, "thread", "lease"),
        bar("supervisor", DIES + 78, 92, "thread", "settle"),
        bar("supervisor", DIES + 174, 92, "thread", "mend"),
        numbered(DIES + 34, LANES["supervisor"] - 28, 2),
        numbered(DIES + 124, LANES["supervisor"] - 28, 3),
        numbered(DIES + 220, LANES["supervisor"] - 28, 4),
        down(DIES + 250, LANES["supervisor"] + 18, LANES["replacement"] - 20),
        bar("replacement", DIES + 236, 100, "process", "on_start()"),
        bar("replacement", DIES + 340, 92, "process", "f(3)"),
        bar("replacement", DIES + 436, 92, "process", "f(9)"),
        numbered(DIES + 286, LANES["replacement"] - 28, 5),
        numbered(DIES + 386, LANES["replacement"] - 28, 6),
        *[
            bar("others", LEFT + n * 95, 91, "process", f"f({value})")
            for n, value in enumerate((0, 2, 4, 5, 6, 7, 8, 10))
        ],
        dot(LEFT + 118, LANES["worker"] - 26, radius=4),
        text(LEFT + 128, LANES["worker"] - 22, "in its lease", "note", 12, at="start"),
        arrow(LEFT, 318, 944, 318),
        text(924, 338, "time", "note", 12),
        steps(NOTES, 92, 366, 440, 3),
    ]
    return picture("A worker dies; the others go on, and another takes its element", WIDTH, HEIGHT, parts)


if __name__ == "__main__":
    save(__file__, draw())
