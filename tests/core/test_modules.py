"""The compiled modules as the build has left them."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import pypeln._core

MODULES = [module.name for module in pkgutil.iter_modules(pypeln._core.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_finds_all_that_it_was_compiled_against(name: str) -> None:
    assert importlib.import_module(f"pypeln._core.{name}")
