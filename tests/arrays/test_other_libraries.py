"""pandas, pyarrow and torch, where they are installed: their data travels as that of arrays does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.copies import copies

from pypeln import pr

N = 20_000


def same(x: Any) -> Any:
    return x


def chained(elements: list[Any], *functions: Any) -> Any:
    stage: Any = elements
    for f in functions:
        stage = pr.map(f, stage)
    return stage


class TestPandas:
    def test_columns_of_a_data_frame_are_passed_on(self) -> None:
        pd = pytest.importorskip("pandas")
        frames = [pd.DataFrame({"x": np.full(N, i, "f8"), "y": np.arange(N)}) for i in range(3)]
        stage = chained(frames, same, same)
        for got, sent in zip(stage, frames, strict=True):
            pd.testing.assert_frame_equal(got, sent)
        assert copies(stage) == [{"copied_in": 6}, {}, {}]

    def test_what_somebody_keeps_of_a_data_frame_is_copied(self) -> None:
        pd = pytest.importorskip("pandas")
        kept: list[Any] = []

        def f(frame: Any) -> Any:
            for each in kept:
                each[:] = -1
            kept[:] = [frame["x"].to_numpy(copy=False)]
            kept[0].flags.writeable = True
            return frame

        frames = [pd.DataFrame({"x": np.full(N, i, "f8")}) for i in range(4)]
        got = list(chained(frames, same, f))
        assert [set(each["x"]) for each in got] == [{0.0}, {1.0}, {2.0}, {3.0}]

    def test_text_and_categories_survive(self) -> None:
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"s": ["a", "b"] * N, "c": pd.Categorical(["x", "y"] * N)})
        (got,) = chained([frame], same)
        pd.testing.assert_frame_equal(got, frame)


class TestArrow:
    def test_tables_are_passed_on(self) -> None:
        pa = pytest.importorskip("pyarrow")
        tables = [
            pa.table({"x": pa.array(np.full(N, i, "f8")), "s": pa.array(["text"] * N)}) for i in range(3)
        ]
        stage = chained(tables, same, same, same)
        assert [got.equals(sent) for got, sent in zip(stage, tables, strict=True)] == [True] * 3
        assert [each for each in copies(stage)[1:] if each] == []

    def test_a_table_that_several_receive_is_there_for_all(self) -> None:
        pa = pytest.importorskip("pyarrow")
        table = pa.table({"x": np.arange(N)})
        first = pr.map(same, [table])
        both = list(pr.concat([pr.map(same, first), pr.map(same, first)]))
        assert [got.equals(table) for got in both] == [True, True]


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


class TestTensors:
    def test_tensors_are_tensors_and_passed_on(self, torch: Any) -> None:
        stage = chained([torch.full((N,), float(i)) for i in range(3)], same, same)
        for i, got in enumerate(stage):
            assert type(got) is torch.Tensor and got.dtype == torch.float32 and bool((got == i).all())
        assert copies(stage) == [{"copied_in": 3}, {}, {}]

    def test_they_are_passed_on_in_dicts_and_in_parts(self, torch: Any) -> None:
        def part(element: Any) -> Any:
            return {"x": element["x"].reshape(100, -1).t()[2:]}

        stage = chained([{"x": torch.arange(N), "y": 1}], part, same)
        (got,) = stage
        expected = torch.arange(N).reshape(100, -1).t()[2:]
        assert torch.equal(got["x"], expected) and got["x"].stride() == expected.stride()
        assert copies(stage)[2] == {}

    @pytest.mark.parametrize(
        "dtype", ["bfloat16", "float16", "complex64", "bool", "int8", "float64", "float8_e4m3fn"]
    )
    def test_every_dtype_survives(self, torch: Any, dtype: str) -> None:
        tensor = torch.arange(N).remainder(7).to(getattr(torch, dtype))
        for given in (tensor, tensor[:5], tensor[::3], tensor[0], tensor[:0]):
            (got,) = chained([given], same)
            assert got.dtype == given.dtype and got.shape == given.shape
            assert torch.equal(got.to(torch.complex64), given.to(torch.complex64))

    def test_tensors_that_are_more_than_numbers_survive(self, torch: Any) -> None:
        tensors = [
            torch.zeros(N, requires_grad=True),
            torch.nn.Parameter(torch.ones(N)),
            torch.ones(N).to_sparse(),
            torch.full((N,), 1j).conj(),
        ]
        got = list(chained(tensors, same))
        assert [each.requires_grad for each in got] == [True, True, False, False]
        assert type(got[1]) is torch.nn.Parameter and got[2].is_sparse
        assert bool((got[3] == -1j).all())

    @pytest.mark.parametrize("kind", ["itself", "view", "numpy", "detached", "alias of storage", "saved"])
    def test_what_somebody_keeps_is_copied(self, torch: Any, kind: str) -> None:
        kept: list[Any] = []

        def f(x: Any) -> Any:
            for each in kept:
                each[:] = -1
            keep = {
                "itself": lambda: x,
                "view": lambda: x[: N // 2],
                "numpy": lambda: x.numpy(),
                "detached": lambda: x.detach(),
                "alias of storage": lambda: torch.empty(0).set_(x.untyped_storage(), 0, (N,)),
                "saved": lambda: [x.view(-1), (torch.ones(N, requires_grad=True) * x).sum()][0],
            }[kind]
            kept[:] = [keep()]
            return x

        got = list(chained([torch.full((N,), float(i)) for i in range(4)], same, f))
        assert [set(each.tolist()) for each in got] == [{0.0}, {1.0}, {2.0}, {3.0}]

    def test_several_receivers_have_copies_that_they_may_write_to(self, torch: Any) -> None:
        def write(x: Any) -> Any:
            assert bool((x == 1).all())
            x[:] = 2
            return x

        first = pr.map(same, [torch.ones(N)])
        both = pr.concat([pr.map(write, first), pr.map(write, first)])
        assert [set(each.tolist()) for each in both] == [{2.0}, {2.0}]

    def test_pypeln_does_not_import_torch(self, tmp_path: Path) -> None:
        import subprocess
        import sys

        text = (
            "import sys, numpy as np; from pypeln import pr;"
            "assert len(list(pr.map(np.negative, [np.ones(9999)]))) == 1; assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", text], check=True, timeout=100, cwd=tmp_path)


def test_pinning_leaves_ordinary_memory_alone_and_says_when_there_is_no_gpu() -> None:
    import pypeln as pl

    value = {"a": [np.zeros(N)], "b": 1}
    assert pl.pin(value) is value
    (got,) = pr.map(same, [np.zeros(N)])
    torch = None
    try:
        import torch
    except ImportError:
        pass
    if torch is None or not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            pl.pin(got)
    else:
        assert pl.pin(got) is got
        tensor = torch.from_numpy(got)
        assert tensor.is_pinned()
        assert torch.equal(tensor.to("cuda", non_blocking=True).cpu(), torch.zeros(N, dtype=torch.float64))
