"""What pinning is worth: batches of images from processes to a GPU, out of pageable and out of pinned blocks.

    python benchmarks/gpu_transfer.py [--batches 200] [--batch 64] [--side 224] [--workers 4] [--repeats 3]

Needs torch with CUDA. Each way of transfer is run in turn, `--repeats` times, and medians are printed:

    pageable           tensor.to("cuda"): CUDA copies into a buffer of its own first, and the program waits
    pinned             pypeln.pin, then tensor.to("cuda", non_blocking=True) straight out of the block
    copied to pinned   tensor.pin_memory().to("cuda", non_blocking=True), as a DataLoader's pin thread does

First the transfer alone, of one batch again and again; then the whole pipeline: processes make images,
batches are stacked in shared memory, sent to the GPU, and some arithmetic is done on each there. The sum of
each batch is checked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

import pypeln as pl
from pypeln import pr

MIB = 1 << 20


def image(number: int, side: int) -> np.ndarray:
    """What a worker makes: 3 x side x side float32, every number the same."""
    return np.full((3, side, side), number % 7, dtype=np.float32)


def pageable(torch: Any, batch: Any) -> Any:
    return torch.from_numpy(batch).to("cuda")


def pinned(torch: Any, batch: Any) -> Any:
    return torch.from_numpy(pl.pin(batch)).to("cuda", non_blocking=True)


def copied_to_pinned(torch: Any, batch: Any) -> Any:
    return torch.from_numpy(batch).pin_memory().to("cuda", non_blocking=True)


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "pageable": pageable,
    "pinned": pinned,
    "copied to pinned": copied_to_pinned,
}


def batches(options: argparse.Namespace, number: int) -> Iterator[Any]:
    """Stacked batches, in shared memory."""
    make = partial(image, side=options.side)
    return iter(
        range(number * options.batch)
        | pr.map(make, workers=options.workers, maxsize=4 * options.batch)
        | pr.ordered
        | pr.batch(options.batch, stack=True, drop_last=True, maxsize=4 * options.batch)
    )


def transfer_gb_s(torch: Any, way: Callable[[Any, Any], Any], options: argparse.Namespace) -> float:
    """GB/s of one batch that is sent again and again."""
    elements = batches(options, 2)
    batch = next(elements)
    for _ in range(3):
        way(torch, batch)
    torch.cuda.synchronize()
    times = 30
    began = perf_counter()
    for _ in range(times):
        way(torch, batch)
    torch.cuda.synchronize()
    seconds = perf_counter() - began
    if way is pinned:
        assert torch.from_numpy(batch).is_pinned(), "the block is not pinned"
    del elements
    return times * batch.nbytes / seconds / 1e9


def pipeline_images_s(torch: Any, way: Callable[[Any, Any], Any], options: argparse.Namespace) -> float:
    """Images per second through the whole pipeline, after the first few batches."""
    warm = 5
    began, seen = 0.0, 0
    sums = []
    sent: list[Any] = []
    for number, batch in enumerate(batches(options, options.batches)):
        if number == warm:
            torch.cuda.synchronize()
            began = perf_counter()
        on_gpu = way(torch, batch)
        sums.append((on_gpu * 2).tanh().sqrt().sum() * 0 + on_gpu[:, 0, 0, 0].sum())
        # A batch must stay until it has been fetched: two are under way at most.
        sent.append((batch, torch.cuda.Event()))
        sent[-1][1].record()
        if len(sent) > 2:
            sent.pop(0)[1].synchronize()
        seen += len(batch) if number >= warm else 0
    torch.cuda.synchronize()
    seconds = perf_counter() - began
    for number, got in enumerate(sums):
        first = number * options.batch
        assert float(got) == sum(n % 7 for n in range(first, first + options.batch)), f"batch {number}"
    return seen / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Transfers to a GPU out of pageable and pinned blocks.")
    parser.add_argument("--batches", type=int, default=200, help="of a pipeline (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="images of a batch (default: %(default)s)")
    parser.add_argument("--side", type=int, default=224, help="of an image (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="processes (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="of everything (default: %(default)s)")
    parser.add_argument(
        "--memory", type=int, default=2048, help="MiB of shared memory (default: %(default)s)"
    )
    parser.add_argument("--json", help="also write every figure to this file")
    options = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("this needs torch")
    if not torch.cuda.is_available():
        sys.exit("this needs a GPU that torch can use")
    nbytes = options.batch * 3 * options.side**2 * 4
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, numpy {np.__version__}, "
        f"pypeln {pl.__version__}; "
        f"batches of {options.batch} images, {nbytes / MIB:.1f} MiB"
    )
    torch.zeros(1, device="cuda")
    figures: dict[str, dict[str, list[float]]] = {name: {"transfer": [], "pipeline": []} for name in WAYS}
    with pl.memory(options.memory * MIB):
        for _ in range(options.repeats):
            for name, way in WAYS.items():
                figures[name]["transfer"].append(transfer_gb_s(torch, way, options))
                figures[name]["pipeline"].append(pipeline_images_s(torch, way, options))
    print("| way | transfer, GB/s | pipeline, images/s |\n|---|---|---|")
    for name, found in figures.items():
        transfer, pipeline = (statistics.median(found[each]) for each in ("transfer", "pipeline"))
        print(f"| {name} | {transfer:.1f} | {pipeline:.0f} |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
