"""zig's C compiler, from PyPI's `ziglang`, as CMake wants a compiler."""

from __future__ import annotations

import sys
from pathlib import Path

from targets import Target


def write_toolchain(folder: Path, target: Target) -> Path:
    """Programs that are called as a compiler and an archiver for a target; the CMake file that names them."""
    tools = {}
    for tool in ("cc", "ar", "ranlib"):
        command = [sys.executable, "-m", "ziglang", tool]
        if tool == "cc":
            # Undefined behaviour traps by default here; that is what tests/sanitizers is for.
            command += ["-target", target.triple, "-fno-sanitize=undefined"]
        tools[tool] = folder / f"{target.name}-{tool}"
        tools[tool].write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
        tools[tool].chmod(0o755)
    file = folder / f"{target.name}.cmake"
    lines = [
        f"set(CMAKE_SYSTEM_NAME {target.system})",
        f"set(CMAKE_SYSTEM_PROCESSOR {target.processor})",
        f"set(CMAKE_C_COMPILER {tools['cc']})",
        f"set(CMAKE_AR {tools['ar']})",
        f"set(CMAKE_RANLIB {tools['ranlib']})",
    ]
    if target.system == "Darwin":
        # zig brings the headers and libraries: there is no SDK, and no tool that finds or changes one.
        lines += ['set(CMAKE_OSX_SYSROOT "")', 'set(CMAKE_OSX_DEPLOYMENT_TARGET "")']
        lines += [f"set({tool} true)" for tool in ("CMAKE_INSTALL_NAME_TOOL",)]
    file.write_text("\n".join(lines) + "\n")
    return file
