"""Make thumbnails of a folder of images: read, shrink and save in processes.

    python docs/examples/thumbnails.py [FOLDER] [--out DIR] [--size 128] [--workers 2]

Without a folder it draws some images of its own first. Needs Pillow (`pip install pillow`).

What to look at: each step is a stage with its own number of processes; images travel between them as numpy
arrays; `maxsize` bounds how many large images are in memory at once; a file that is no image is skipped,
because `flat_map` may yield nothing for an element; `pr.ordered` gives the report the order of the files.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from pypeln import pr

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


class Picture(NamedTuple):
    """An image on its way: where it came from, and its pixels as an array of height x width x 3."""

    path: Path
    pixels: np.ndarray


def read(path: Path) -> Iterator[Picture]:
    """Decode a file; yields nothing for one that is damaged."""
    try:
        with Image.open(path) as image:
            yield Picture(path, np.asarray(image.convert("RGB")))
    except (UnidentifiedImageError, OSError) as error:
        print(f"skipped {path.name}: {error}", file=sys.stderr)


def shrink(picture: Picture, size: int) -> Picture:
    """Scale down so that the longer side fits: average blocks of pixels, then let Pillow do the rest."""
    height, width, _ = picture.pixels.shape
    block = max(1, max(height, width) // size)
    whole = picture.pixels[: height // block * block, : width // block * block]
    blocks = whole.reshape(height // block, block, width // block, block, 3)
    small = Image.fromarray(blocks.mean(axis=(1, 3)).astype(np.uint8))
    small.thumbnail((size, size))
    return Picture(picture.path, np.asarray(small))


def save(picture: Picture, out: Path) -> str:
    """Write the thumbnail and say what was done."""
    # The old suffix stays in the name, or a.png and a.jpg would overwrite each other.
    target = out / f"{picture.path.name}.jpg"
    Image.fromarray(picture.pixels).save(target, quality=85)
    height, width, _ = picture.pixels.shape
    return f"{picture.path.name} -> {target.name} {width}x{height}"


def draw(number: int, folder: Path) -> None:
    """Make an image: a gradient whose shape depends on its number."""
    y, x = np.mgrid[0 : 600 + 40 * number, 0:900]
    red_green_blue = np.stack([x * 255 // 900, y * 255 // y.shape[0], (x * y * (number + 1)) % 256], axis=-1)
    Image.fromarray(red_green_blue.astype(np.uint8)).save(folder / f"image{number:02}.png", compress_level=1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make thumbnails of a folder of images.")
    parser.add_argument(
        "folder", type=Path, nargs="?", help="default: a new one with images drawn by the program"
    )
    parser.add_argument("--out", type=Path, help="where thumbnails go (default: thumbnails/ in the folder)")
    parser.add_argument("--size", type=int, default=128, help="longer side in pixels (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes for shrinking")
    options = parser.parse_args()

    folder = options.folder
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="pypeln-images-"))
        pr.each(partial(draw, folder=folder), range(12), workers=options.workers, run=True)
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder")
    out = options.out or folder / "thumbnails"
    out.mkdir(parents=True, exist_ok=True)

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    done = (
        paths
        | pr.flat_map(read, workers=options.workers, maxsize=8)
        | pr.map(partial(shrink, size=options.size), workers=options.workers, maxsize=8)
        | pr.map(partial(save, out=out), maxsize=8)
        | pr.ordered
    )
    count = 0
    for line in done:
        print(line)
        count += 1
    print(f"{count} of {len(paths)} images, thumbnails in {out}")


if __name__ == "__main__":
    main()
