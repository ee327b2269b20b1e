"""What the demo finds in a source file."""

from __future__ import annotations

import pickle
import warnings

import pytest

from pypeln.demo.parse import Definition, Module, Source, parse

CODE = b"""\
import os, sys
from os import path


class Shape:  # a comment
    def area(self):
        def helper():
            return 1

        return helper()


async def draw():
    import math
"""


def only_module(content: bytes) -> Module:
    [module] = parse(Source("broken.py", "file", content))
    assert isinstance(module, Module)
    return module


def test_definitions_at_every_depth_are_found_and_the_module_comes_last() -> None:
    *definitions, module = parse(Source("shapes.py", "http", CODE))
    assert sorted(definitions) == [
        Definition("shapes.py", "async function", "draw", 13, 2),
        Definition("shapes.py", "class", "Shape", 5, 6),
        Definition("shapes.py", "function", "area", 6, 5),
        Definition("shapes.py", "function", "helper", 7, 2),
    ]
    assert isinstance(module, Module)
    assert (module.name, module.origin, module.nbytes) == ("shapes.py", "http", len(CODE))
    assert (module.lines, module.functions, module.classes, module.imports) == (14, 3, 1, 3)
    assert module.comments == 1
    assert module.tokens > 40
    assert module.error is None
    begin, end = module.parsed
    assert begin <= end


def test_an_empty_file_is_a_module_without_anything() -> None:
    module = only_module(b"")
    assert (module.lines, module.functions, module.error) == (0, 0, None)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"def broken(:\n    pass\n", id="no Python"),
        pytest.param(b"print 'two'\n", id="Python 2"),
        pytest.param(b"x = '''\n", id="string without end"),
        pytest.param(b"if x:\n        a\n    b\n", id="wrong indentation"),
        pytest.param(b"x = 1\x00\n", id="null byte"),
        pytest.param(b"# coding: utf-8\nx = '\xff'\n", id="wrong bytes"),
        pytest.param(b"# coding: no-such-encoding\n", id="unknown encoding"),
        pytest.param(b"def f(): pass\nreturn return\n", id="broken after a definition"),
    ],
)
def test_a_file_that_is_no_python_is_reported_and_not_raised(content: bytes) -> None:
    module = only_module(content)
    assert module.error
    assert module.nbytes == len(content)
    assert (module.functions, module.classes, module.imports) == (0, 0, 0)


def test_warnings_about_the_files_are_not_the_demos() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert only_module(b"pattern = '\\d'\n").error is None
    assert caught == []


def test_rows_can_go_from_process_to_process() -> None:
    rows = parse(Source("shapes.py", "file", CODE))
    assert pickle.loads(pickle.dumps(rows)) == rows
