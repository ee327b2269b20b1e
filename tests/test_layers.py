"""Imports inside pypeln go only downwards, and the C core knows nothing of Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pypeln"

# From the lowest to the highest: what is directly under pypeln/. A module may import its own layer and those
# before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_core",),
    (
        "_version",
        "budget",
        "by_value",
        "descriptors",
        "element",
        "errors",
        "exception_pickling",
        "failure",
        "platforms",
    ),
    ("transport",),
    ("run",),
    ("graph",),
    ("operators",),
    ("arrays", "namespace", "pinning", "shared_file", "turn"),
    ("io", "pr", "process", "sync", "task", "th", "thread"),
    ("__init__",),
    ("__main__", "cli", "demo"),
)
# Layers that do not know others, although these are below them.
UNKNOWN_TO = {
    "graph": {"_core", "transport"},
    "namespace": {"_core", "transport", "run", "graph", "operators"},
}

RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
SOURCES = sorted(path for suffix in ("py", "pyi", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{suffix}"))

# A cimport or import statement of Cython, which ast cannot read; names over several lines are in parentheses.
CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>[\w.]+)[ \t]+c?import[ \t]+(?P<names>\([^)]*\)|[^\n#]*)"
    r"|c?import[ \t]+(?P<plain>[\w., \t]+))",
    re.MULTILINE,
)


def top_name(path: Path) -> str:
    """What a file is a part of: the name directly under pypeln/."""
    return path.relative_to(PACKAGE).parts[0].split(".")[0]


def absolute(path: Path, level: int, module: str) -> str:
    """The full name of a module that is imported relatively, `level` dots up from a file."""
    if level == 0:
        return module
    package = path.relative_to(ROOT).parent.parts
    return ".".join([*package[: len(package) - level + 1], *([module] if module else [])])


def parts_of_pypeln(module: str, names: list[str]) -> Iterator[str]:
    """The names directly under pypeln/ that `from module import names` reaches."""
    parts = module.split(".")
    if parts[0] != "pypeln":
        return
    if len(parts) > 1:
        yield parts[1]
        return
    for name in names:
        yield name if name in RANK else "__init__"


def imports_of_python(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                for name in parts_of_pypeln(alias.name, []) if "." in alias.name else [alias.name]:
                    if name != "pypeln" and name not in RANK:
                        continue
                    yield node.lineno, "__init__" if name == "pypeln" else name
        elif isinstance(node, ast.ImportFrom):
            module = absolute(path, node.level, node.module or "")
            for name in parts_of_pypeln(module, [alias.name for alias in node.names]):
                yield node.lineno, name


def imports_of_cython(path: Path) -> Iterator[tuple[int, str]]:
    text = path.read_text(encoding="utf-8")
    for match in CYTHON_IMPORT.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["plain"]:
            modules = [name.split()[0] for name in match["plain"].split(",") if name.strip()]
            names: list[str] = []
        else:
            dots = len(match["module"]) - len(match["module"].lstrip("."))
            modules = [absolute(path, dots, match["module"].lstrip("."))]
            names = [name.split()[0] for name in match["names"].strip("()").split(",") if name.strip()]
        for module in modules:
            for name in parts_of_pypeln(module, names or ["__init__"]):
                yield line, name


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Where and what a file imports of pypeln, wherever in the file: line, name directly under pypeln/."""
    return (imports_of_cython if path.suffix in (".pyx", ".pxd") else imports_of_python)(path)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_only_downwards(path: Path) -> None:
    own = top_name(path)
    assert own in RANK, f"pypeln/{own} has no layer yet: give it one in LAYERS of {Path(__file__).name}"
    for line, name in imports_of(path):
        where = f"{path.relative_to(ROOT)}:{line} imports {name}"
        assert name in RANK, f"{where}, which has no layer"
        assert RANK[name] <= RANK[own], f"{where}, which is above {own}"
        assert name not in UNKNOWN_TO.get(own, ()), f"{where}, of which {own} must know nothing"


def test_the_core_imports_nothing_else_of_pypeln() -> None:
    reached = {name for path in SOURCES if top_name(path) == "_core" for _, name in imports_of(path)}
    assert reached == {"_core"}


def test_every_layer_exists() -> None:
    assert set(RANK) == {top_name(path) for path in SOURCES}


def test_c_files_know_nothing_of_python() -> None:
    files = sorted((ROOT / "src_c").rglob("*.[ch]"))
    assert files
    for path in files:
        assert not re.search(r'#\s*include\s*[<"]Python\.h', path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("suffix", "line", "expected"),
    [
        (".py", "import pypeln", "__init__"),
        (".py", "import pypeln.run.plan as plan", "run"),
        (".py", "from pypeln import io, Stage", "io __init__"),
        (".py", "from ..graph import stage", "graph"),
        (".py", "def f():\n    from pypeln.operators.map import map", "operators"),
        (".py", "import collections.abc", ""),
        (".pyx", "from pypeln._core.c cimport (\n    a,\n    b,\n)", "_core"),
        (".pyx", "cimport pypeln._core.queue", "_core"),
        (".pyx", "    from pypeln.run import plan  # late", "run"),
        (".pyx", "from ..errors import RunAborted", "errors"),
        (".pyx", "from libc.stdint cimport uint64_t", ""),
    ],
)
def test_every_form_of_import_is_seen(
    suffix: str, line: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pypeln" / "run" / f"example{suffix}"
    file.parent.mkdir(parents=True)
    file.write_text(line + "\n", encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert [name for _, name in imports_of(file)] == expected.split()
