"""The platforms that the C core is compiled for without having them, and what their programs run in."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """A platform.

    Attributes:
        name: What it is called here.
        triple: What zig calls it.
        system: What CMake calls its system.
        processor: What CMake calls its processor.
        runner: What runs its programs on x86-64 Linux; "" for nothing, None where nothing does.
    """

    name: str
    triple: str
    system: str
    processor: str
    runner: str | None


TARGETS = (
    Target("macos-x86_64", "x86_64-macos.11.0", "Darwin", "x86_64", None),
    Target("macos-arm64", "aarch64-macos.11.0", "Darwin", "arm64", None),
    Target("windows-x86_64", "x86_64-windows-gnu", "Windows", "AMD64", "wine"),
    Target("linux-aarch64", "aarch64-linux-musl", "Linux", "aarch64", "qemu-aarch64"),
    Target("linux-musl-x86_64", "x86_64-linux-musl", "Linux", "x86_64", ""),
)

# Those that a target's programs do not run, and why. Everything that is not here has to pass.
NOT_RUN = {
    "linux-aarch64": {
        r"_steps$": "ptrace cannot step through an emulated processor; they are not even built there",
        r"^test_process$": "who asks for its own /proc/PID/stat gets figures of qemu's, others the kernel's",
        r"^test_segment_linux$": "qemu does not hold its program to RLIMIT_AS",
    },
    "windows-x86_64": {
        r"_steps$": "there is no ptrace; they are not even built there",
        r"_linux$": "memfd and its seals are Linux's; it is not even built there",
    },
    "linux-musl-x86_64": {
        r"_steps$": "they look at each instruction, and those are the same with another C library; minutes",
    },
}
