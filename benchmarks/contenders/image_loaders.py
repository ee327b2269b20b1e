"""JPEG files to batches of augmented images for a training loop, two processes at work: ways to get there.

A batch is a pair of tensors, of images and of their numbers.
"""

from __future__ import annotations

import atexit
import importlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# As of a classifier of photographs: ImageNet's files have about this size, its networks see this many pixels.
FILE_SHAPE = (375, 500, 3)
SIDE = 224
BATCH = 32
DISTINCT = 64


class Sample(NamedTuple):
    pixels: NDArray[Any]
    number: int


@cache
def jpeg_files() -> list[Path]:
    """Photographs, as far as a decoder can tell: smooth shapes and some noise. Removed at exit."""
    folder = tempfile.TemporaryDirectory(prefix="pypeln-bench-")
    atexit.register(folder.cleanup)
    paths = []
    for number in range(DISTINCT):
        chance = np.random.default_rng(number)
        coarse = Image.fromarray(chance.integers(0, 256, size=(12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(FILE_SHAPE[1::-1], Image.Resampling.BICUBIC), dtype=np.float32)
        pixels = np.clip(smooth + chance.normal(0, 8, size=FILE_SHAPE), 0, 255).astype(np.uint8)
        paths.append(Path(folder.name) / f"{number:02}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def decode(number: int) -> Sample:
    with Image.open(jpeg_files()[number % DISTINCT]) as image:
        return Sample(np.asarray(image.convert("RGB")), number)


def augment(sample: Sample) -> Sample:
    """A random part of the image at the size of the network's input, perhaps mirrored, as float32."""
    chance = np.random.default_rng(sample.number % DISTINCT)
    height, width, _ = sample.pixels.shape
    side = int(height * chance.uniform(0.6, 1))
    top, left = chance.integers(height - side + 1), chance.integers(width - side + 1)
    part = Image.fromarray(sample.pixels[top : top + side, left : left + side])
    pixels = np.asarray(part.resize((SIDE, SIDE), Image.Resampling.BILINEAR), dtype=np.float32)
    if chance.random() < 0.5:
        pixels = pixels[:, ::-1]
    return Sample(np.ascontiguousarray(pixels.transpose(2, 0, 1) / np.float32(255)), sample.number)


def load(number: int) -> Sample:
    return augment(decode(number))


def _as_tensors(batches: Iterable[Any]) -> Iterator[Any]:
    torch = importlib.import_module("torch")
    return (tuple(map(torch.from_numpy, batch)) for batch in batches)


@contextmanager
def pypeln_one_stage(source: Iterable[int], workers: int) -> Iterator[Iterable[Any]]:
    """One function for all work on an image, as a Dataset has."""
    from pypeln import pr

    yield _as_tensors(source | pr.map(load, workers=workers) | pr.batch(BATCH, stack=True))


@contextmanager
def pypeln_two_stages(source: Iterable[int], workers: int) -> Iterator[Iterable[Any]]:
    """Decoding and augmenting are stages of their own, so that each has its own number of processes."""
    from pypeln import pr

    samples = source | pr.map(decode, workers=workers) | pr.map(augment, workers=workers)
    yield _as_tensors(samples | pr.batch(BATCH, stack=True))


class _Files:
    """The same work as a Dataset of torch, which asks for nothing but these two methods."""

    def __init__(self, items: int) -> None:
        self.items = items

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, number: int) -> Sample:
        return load(number)


@contextmanager
def torch_data_loader(source: range, workers: int) -> Iterator[Iterable[Any]]:
    """`torch.utils.data.DataLoader` with its own way to make tensors of a batch."""
    data = importlib.import_module("torch.utils.data")
    yield data.DataLoader(_Files(len(source)), batch_size=BATCH, num_workers=workers)


@contextmanager
def plain_loop(source: Iterable[int], workers: int) -> Iterator[Iterable[Any]]:
    """The work in this process, without any hand-over."""
    samples = map(load, source)
    groups = iter(lambda: list(islice(samples, BATCH)), [])
    columns = (zip(*group, strict=True) for group in groups)
    yield _as_tensors((np.stack(pixels), np.array(numbers)) for pixels, numbers in columns)
