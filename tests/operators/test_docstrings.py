"""Every public call and class is documented, and what its docstring shows happens."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import pytest

import pypeln
from pypeln import io, pr, sync, th

MODULES = [
    "pypeln",
    *(
        module.name
        for module in pkgutil.walk_packages(pypeln.__path__, "pypeln.")
        if not module.name.startswith("pypeln._core.")  # those are in tests/core
        and not module.name.endswith("__main__")
    ),
]
CALLS = [
    getattr(front_end, name)
    for front_end in (pr, th, io, sync)
    for name in front_end.__all__
    if inspect.ismethod(getattr(front_end, name, None))
]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder().find(module, module.__name__) if test.examples]


EXAMPLES = [test for name in MODULES for test in examples_of(importlib.import_module(name))]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_gives_what_it_shows(example: doctest.DocTest) -> None:
    said: list[str] = []
    result = doctest.DocTestRunner().run(example, out=said.append)
    assert result.failed == 0, "".join(said)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call.__self__.name}.{call.__name__}")
def test_a_call_documents_all_of_its_arguments(call: Any) -> None:
    text = inspect.getdoc(call)
    assert text
    assert "{" not in text.replace("{}", "")
    for section in ("Args:", "Returns:", "Raises:", "Example:"):
        assert section in text
    for argument in inspect.signature(call).parameters:
        assert f"    {argument}: " in text
