"""Find pictures that look the same: threads read files, processes fingerprint them, your loop compares.

    python docs/examples/lookalikes.py [FOLDER] [--distance 4] [--workers 2]

Copies are found also when they were made smaller, saved anew or brightened. Without a folder the program
draws some pictures and copies first. Needs Pillow (`pip install pillow`).

What to look at: reading waits for the disk, so threads do it; decoding needs the CPU, so processes do it;
`maxsize` bounds how many files are in memory; a file that is no picture becomes a `Failure`, which the report
names, and does not end the run; `pr.ordered` gives the report the order of the files.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageEnhance

from pypeln import Failure, pr, th

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
COLUMNS, ROWS = 8, 8  # of a fingerprint, which has a bit for each


class File(NamedTuple):
    """A file in memory."""

    path: Path
    data: bytes


class Picture(NamedTuple):
    """What is kept of a picture: a number in which similar pictures differ in few bits."""

    path: Path
    fingerprint: int


def files(folder: Path) -> Iterator[Path]:
    """Every file of the tree that is called like a picture, in an order that stays the same."""
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)


def read(path: Path) -> File:
    return File(path, path.read_bytes())


def fingerprint(file: File) -> Picture:
    """Shrink to 9 x 8 shades of grey; each bit says whether a shade is brighter than its right neighbour."""
    with Image.open(io.BytesIO(file.data)) as image:
        shades = image.convert("L").resize((COLUMNS + 1, ROWS), Image.Resampling.LANCZOS).tobytes()
    number = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            left = row * (COLUMNS + 1) + column
            number = number << 1 | (shades[left] > shades[left + 1])
    return Picture(file.path, number)


def groups(pictures: Iterable[Picture], distance: int) -> list[list[Picture]]:
    """Each picture joins the first group whose first picture it resembles."""
    found: list[list[Picture]] = []
    for picture in pictures:
        for group in found:
            if (group[0].fingerprint ^ picture.fingerprint).bit_count() <= distance:
                group.append(picture)
                break
        else:
            found.append([picture])
    return [group for group in found if len(group) > 1]


def look(folder: Path, distance: int, workers: int) -> None:
    """Report all groups of pictures that look the same."""
    loaded = th.map(read, files(folder), workers=4, maxsize=16)
    stage = pr.map(fingerprint, loaded, workers=workers, maxsize=16, on_error="collect")

    pictures = []
    for picture in pr.ordered(stage):
        if isinstance(picture, Failure):
            print(f"skipped {picture.item.path.name}: {type(picture.error).__name__}", file=sys.stderr)
        else:
            pictures.append(picture)

    for group in groups(pictures, distance):
        print(" = ".join(str(picture.path.relative_to(folder)) for picture in group))
    figures = stage.stats()
    print(f"{figures.taken} files, {figures.emitted} pictures, {figures.failed} skipped")


def draw_pictures(folder: Path, number: int = 12) -> None:
    """Pictures to play with; of every fourth there are two copies that are not equal byte by byte."""
    chance = random.Random(7)
    for n in range(number):
        image = Image.new("RGB", (320, 240), (chance.randrange(256), chance.randrange(256), 128))
        pen = ImageDraw.Draw(image)
        for _ in range(25):
            x, y, r = chance.randrange(320), chance.randrange(240), chance.randrange(20, 80)
            pen.ellipse((x - r, y - r, x + r, y + r), fill=tuple(chance.randrange(256) for _ in range(3)))
        image.save(folder / f"image{n:02}.png")
        if n % 4 == 0:
            image.resize((160, 120)).save(folder / f"small{n:02}.jpg")
            ImageEnhance.Brightness(image).enhance(1.2).save(folder / f"bright{n:02}.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description="Find pictures that look the same.")
    parser.add_argument("folder", type=Path, nargs="?", help="where to look (default: pictures of its own)")
    parser.add_argument("--distance", type=int, default=4, help="bits that may differ (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that decode")
    options = parser.parse_args()
    if options.folder is not None:
        if not options.folder.is_dir():
            parser.error(f"{options.folder} is not a folder")
        look(options.folder, options.distance, options.workers)
        return
    with tempfile.TemporaryDirectory(prefix="pypeln-pictures-") as folder:
        draw_pictures(Path(folder))
        look(Path(folder), options.distance, options.workers)


if __name__ == "__main__":
    main()
