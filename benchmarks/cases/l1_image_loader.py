"""L1: JPEG files become batches for a training loop: decoded, augmented and batched beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from contenders.image_loaders import (
    DISTINCT,
    jpeg_files,
    load,
    plain_loop,
    pypeln_one_stage,
    pypeln_two_stages,
    torch_data_loader,
)
from harness.case import Case, Contender, Opener, Role
from harness.measures import batches

# The number of an image, and its first and its last value.
Mark = tuple[int, float, float]


def marks(batch: Any) -> list[Mark]:
    """What the training loop does with a batch: reads all of it, and knows its images."""
    images, numbers = batch
    assert images.mean() > 0
    firsts, lasts = images[:, 0, 0, 0].tolist(), images[:, -1, -1, -1].tolist()
    return list(zip(numbers.tolist(), firsts, lasts, strict=True))


@cache
def ends_of(number: int) -> tuple[float, float]:
    pixels = load(number).pixels
    return float(pixels[0, 0, 0]), float(pixels[-1, -1, -1])


def expected(items: int) -> list[Mark]:
    return [(number, *ends_of(number % DISTINCT)) for number in range(items)]


def of_files(loader: Callable[..., Any]) -> Opener:
    def opening(items: int, workers: int) -> Any:
        jpeg_files()
        return loader(range(items), workers)

    return opening


CASE = Case(
    name="L1",
    title="JPEG files of 500 x 375 decoded, augmented to 224 x 224 float32, in batches of 32",
    unit="images/s",
    higher_is_better=True,
    workers=(2,),
    measure=batches(marks),
    expected=expected,
    contenders=(
        Contender("pypeln, one stage", Role.PYPELN, 1024, of_files(pypeln_one_stage), packages=("torch",)),
        Contender("pypeln, two stages", Role.PYPELN, 1024, of_files(pypeln_two_stages), packages=("torch",)),
        Contender("torch DataLoader", Role.PEER, 1024, of_files(torch_data_loader), packages=("torch",)),
        Contender("plain loop", Role.REFERENCE, 1024, of_files(plain_loop), packages=("torch",)),
    ),
    quick_items=40,
)
