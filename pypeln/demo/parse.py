"""What the demo finds out about a source file: the CPU-bound part, done by processes."""

from __future__ import annotations

import ast
import io
import time
import tokenize
import warnings
from dataclasses import dataclass, replace
from typing import NamedTuple


class Source(NamedTuple):
    """A source file as it was read or fetched."""

    name: str
    origin: str  # "file" or "http"
    content: bytes


class Definition(NamedTuple):
    """A function or a class that a file defines, at any depth."""

    file: str
    kind: str  # "function", "async function" or "class"
    name: str
    line: int
    lines: int


@dataclass(frozen=True)
class Module:
    """A file as a whole. `error` says why it could not be parsed, and only its size is known then."""

    name: str
    origin: str
    nbytes: int
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: int = 0
    tokens: int = 0
    comments: int = 0
    error: str | None = None
    parsed: tuple[float, float] = (0.0, 0.0)  # begin and end on time.perf_counter(); processes share it


Row = Definition | Module

_KINDS = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "async function", ast.ClassDef: "class"}


def parse(source: Source) -> list[Row]:
    """Parse a file and count what is in it.

    Args:
        source: The file; its content need not be valid Python.

    Returns:
        A `Definition` for each function and class, then the file's `Module`.
    """
    begin = time.perf_counter()
    module = Module(source.name, source.origin, len(source.content), len(source.content.splitlines()))
    definitions: list[Definition] = []
    try:
        tokens, comments = _count_tokens(source.content)
        definitions, imports = _find_definitions(source)
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError) as error:
        module = replace(module, error=f"{type(error).__name__}: {error}")
    else:
        classes = sum(definition.kind == "class" for definition in definitions)
        functions = len(definitions) - classes
        module = replace(
            module, functions=functions, classes=classes, imports=imports, tokens=tokens, comments=comments
        )
    return [*definitions, replace(module, parsed=(begin, time.perf_counter()))]


def _count_tokens(content: bytes) -> tuple[int, int]:
    tokens = comments = 0
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        tokens += 1
        comments += token.type == tokenize.COMMENT
    return tokens, comments


def _find_definitions(source: Source) -> tuple[list[Definition], int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the compiler thinks of other people's escape sequences
        tree = ast.parse(source.content, source.name)
    definitions = []
    imports = 0
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            definitions.append(Definition(source.name, _KINDS[type(node)], node.name, node.lineno, lines))
        imports += isinstance(node, (ast.Import, ast.ImportFrom))
    return definitions, imports
