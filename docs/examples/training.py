"""Feed a training loop with images: processes decode, processes augment, and batches arrive as arrays.

    python docs/examples/training.py [FOLDER] [--epochs 4] [--batch 32] [--size 64] [--workers 2] [--seed 0]

FOLDER has one folder of JPEG files for each class. Without it the program draws pictures of three classes
first. Needs Pillow (`pip install pillow`).

What to look at: pixels travel between processes as numpy arrays in shared memory, not as pickles, and
`pr.batch(stack=True)` makes one array of each batch, ready for `torch.from_numpy` or `jax.numpy.asarray`; the
epochs are one stream, so the processes start only once and fetch the next epoch while the last is learned;
`maxsize` bounds how far they run ahead; each sample brings its own seed, because forked workers would all
inherit one random generator and make the same choices; with that and `pr.ordered`, a run gives the same
batches again, whatever the number of workers.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from PIL import Image

from pypeln import pr

TINTS = {"dusk": (140, 105, 115), "forest": (100, 140, 95), "sea": (85, 120, 160)}
GRID = 4  # the model sees the mean colours of this many rows and columns of an image


class Task(NamedTuple):
    """What the source knows of a sample."""

    path: Path
    label: int
    seed: int


class Sample(NamedTuple):
    """An image on its way; in a batch, each field is an array with a row for each image."""

    pixels: np.ndarray
    label: int
    seed: int


def epochs(classes: list[Path], number: int, seed: int) -> Iterator[Task]:
    """Every image once per epoch, in an order and with a seed that are new in each epoch."""
    images = [(path, label) for label, folder in enumerate(classes) for path in sorted(folder.glob("*.jpg"))]
    chance = random.Random(seed)
    for _ in range(number):
        chance.shuffle(images)
        for path, label in images:
            yield Task(path, label, chance.getrandbits(32))


def decode(task: Task) -> Sample:
    """Read a file: height x width x 3 bytes."""
    with Image.open(task.path) as image:
        return Sample(np.asarray(image.convert("RGB")), task.label, task.seed)


def augment(sample: Sample, size: int) -> Sample:
    """A random part of the image, mirrored or not, as 3 x size x size numbers from -1 to 1."""
    chance = np.random.default_rng(sample.seed)
    height, width, _ = sample.pixels.shape
    side = int(min(height, width) * chance.uniform(0.6, 1))
    top, left = chance.integers(height - side + 1), chance.integers(width - side + 1)
    part = Image.fromarray(sample.pixels[top : top + side, left : left + side])
    pixels = np.asarray(part.resize((size, size)), dtype=np.float32) / 127.5 - 1
    if chance.random() < 0.5:
        pixels = pixels[:, ::-1]
    return sample._replace(pixels=np.ascontiguousarray(pixels.transpose(2, 0, 1)))


class Model:
    """Softmax regression on the mean colours of a grid: small, so that feeding it is what takes time."""

    def __init__(self, classes: int) -> None:
        self.weights = np.zeros((3 * GRID * GRID + 1, classes), dtype=np.float32)

    def learn(self, pixels: np.ndarray, labels: np.ndarray, rate: float = 0.1) -> tuple[float, float]:
        """One step of gradient descent; returns the loss and the share of images that were right before."""
        n, channels, height, width = pixels.shape
        means = pixels.reshape(n, channels, GRID, height // GRID, GRID, width // GRID).mean(axis=(3, 5))
        features = np.hstack([means.reshape(n, -1), np.ones((n, 1), dtype=np.float32)])
        scores = features @ self.weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(n), labels] + 1e-9).mean()
        right = np.mean(chances.argmax(axis=1) == labels)
        chances[np.arange(n), labels] -= 1
        self.weights -= rate / n * features.T @ chances
        return float(loss), float(right)


def train(batches: Iterable[Sample], model: Model, report_every: int) -> None:
    """Learn from all batches, and report how well it goes and whether the loop had to wait for images."""
    start = perf_counter()
    learning_s, seen = 0.0, 0
    losses: list[float] = []
    right: list[float] = []
    for step, batch in enumerate(batches, start=1):
        got = perf_counter()
        loss, share = model.learn(batch.pixels, batch.label)
        learning_s += perf_counter() - got
        seen += len(batch.label)
        losses.append(loss)
        right.append(share)
        if step % report_every == 0:
            print(f"step {step:4}: loss {np.mean(losses):.3f}, {np.mean(right):4.0%} right")
            losses.clear()
            right.clear()
    elapsed = perf_counter() - start
    print(
        f"{seen} images, {seen / elapsed:.0f} a second, {learning_s / elapsed:.0%} of the time spent learning"
    )


def draw(number: int, folder: Path) -> None:
    """Make a picture of the class that its number falls to: tinted noise with a bright disc somewhere."""
    chance = np.random.default_rng(number)
    name, tint = list(TINTS.items())[number % len(TINTS)]
    height, width = chance.integers(160, 320, size=2)
    y, x = np.mgrid[0:height, 0:width]
    disc = (y - chance.integers(height)) ** 2 + (x - chance.integers(width)) ** 2 < 40**2
    light, noise = chance.normal(0, 25, size=3), chance.normal(0, 40, size=(height, width, 1))
    pixels = np.clip(np.array(tint) + light + noise + 60 * disc[:, :, None], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / name / f"image{number:03}.jpg", quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description="Feed a training loop with images.")
    parser.add_argument("folder", type=Path, nargs="?", help="default: pictures that the program draws")
    parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=32, help="images of a batch (default: %(default)s)")
    parser.add_argument("--size", type=int, default=64, help="side in pixels (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of all random choices (default: %(default)s)")
    options = parser.parse_args()
    if options.size % GRID:
        parser.error(f"--size must be a multiple of {GRID}")

    with tempfile.TemporaryDirectory(prefix="pypeln-training-") as drawn:
        folder = options.folder
        if folder is None:
            folder = Path(drawn)
            for name in TINTS:
                (folder / name).mkdir()
            pr.each(partial(draw, folder=folder), range(240), workers=options.workers, run=True)
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
        classes = sorted(path for path in folder.iterdir() if any(path.glob("*.jpg")))
        if not classes:
            parser.error(f"{folder} has no folders with JPEG files")
        print(f"classes: {', '.join(path.name for path in classes)}")

        batches = (
            epochs(classes, options.epochs, options.seed)
            | pr.map(decode, workers=options.workers, maxsize=64)
            | pr.map(partial(augment, size=options.size), workers=options.workers, maxsize=64)
            | pr.ordered
            | pr.batch(options.batch, stack=True, drop_last=True, maxsize=64)
        )
        train(batches, Model(len(classes)), report_every=10)


if __name__ == "__main__":
    main()
