"""Which files the demo chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypeln.demo.errors import DemoError
from pypeln.demo.sources import choose_files, standard_library


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(10):
        (tmp_path / f"m{index}.py").touch()
    for folder in ("site-packages", "test", "package/tests"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "left_out.py").touch()
    (tmp_path / "package" / "inner.py").touch()
    (tmp_path / "data.txt").touch()
    return tmp_path


def test_all_source_files_but_those_of_tests_and_other_packages(root: Path) -> None:
    assert choose_files(root, 1000) == [*(f"m{index}.py" for index in range(10)), "package/inner.py"]


@pytest.mark.parametrize("count", range(1, 12))
def test_as_many_as_asked_for_and_none_twice(count: int, root: Path) -> None:
    chosen = choose_files(root, count)
    assert len(set(chosen)) == len(chosen) == count


def test_the_choice_is_spread_and_always_the_same(root: Path) -> None:
    assert choose_files(root, 3) == choose_files(root, 3) == ["m0.py", "m3.py", "m7.py"]


def test_a_folder_without_source_files_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=str(tmp_path.name)):
        choose_files(tmp_path, 3)


def test_this_python_has_some_hundred() -> None:
    assert len(choose_files(standard_library(), 200)) == 200
