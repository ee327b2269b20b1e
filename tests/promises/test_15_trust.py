"""Shared memory is reachable by the processes of its run only, and is checked before it is believed."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import mmap
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.notes import wait_until
from support.process_table import children, open_fds, state, wait_until_blocked

import pypeln as pl
from pypeln._core.arena import Arenas
from pypeln._core.codec import CorruptElement
from pypeln._core.memory import CorruptMemory, Segment
from pypeln._core.shared import SharedIn, SharedOut, SharedRing

MIB = 1 << 20

# Layout of a slot, see layout.h: the word of the ring, the head, the body.
SLOT_BYTES = 64
HEAD_AT = 8
BODY_AT = 24
KIND_AT = 12
BLOCK = 1
READY = 2

# What a reader may say to garbage. Never a signal of the kernel, never an endless loop.
REFUSALS = (CorruptMemory, CorruptElement)


def same(x: Any) -> Any:
    return x


def mixed(source: Any) -> Any:
    stage = pl.pr.map(same, source, maxsize=8)
    return pl.th.map(same, pl.io.map(same, stage, maxsize=8), maxsize=8)


def segments() -> list[int]:
    """Descriptors of the shared memory of all runs of this process."""
    return [fd for fd, target in open_fds().items() if target.startswith("/memfd:pypeln")]


@contextlib.contextmanager
def running(stage: Any) -> Iterator[Iterator[Any]]:
    """A run that has delivered its first element."""
    elements = stage.to_iterable(maxsize=8)
    next(elements)
    try:
        yield elements
    finally:
        elements.close()


def test_promise_15_shared_memory_has_no_name_and_a_fixed_size(start_method: str) -> None:
    names = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    with running(mixed(itertools.count())):
        found = segments()
        assert len(found) >= 2
        for fd in found:
            assert os.fstat(fd).st_nlink == 0
            fixed = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fixed == fixed
            with pytest.raises(PermissionError):
                os.ftruncate(fd, 0)
        new = set(os.listdir("/dev/shm")) - names if names else set()
        assert [name for name in new if "pypeln" in name] == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_promise_15_another_user_cannot_open_it(fork: None) -> None:
    with running(mixed(itertools.count())):
        paths = [f"/proc/{os.getpid()}/fd/{fd}" for fd in segments()]
        paths += [f"/proc/{pid}/fd" for pid in children()]
        tried = "; ".join(f"test -r {path} && echo {path}" for path in paths)
        shell = subprocess.run(["sh", "-c", tried], user=65534, group=65534, extra_groups=[], stdout=-1)
        assert shell.stdout == b""
        assert os.access(paths[0], os.R_OK)


def inheritable_fds(_: Any = None) -> list[str]:
    """What a program that this process executes would find open, but for the standard streams."""
    return [f"{fd} -> {target}" for fd, target in open_fds().items() if fd > 2 and os.get_inheritable(fd)]


def test_promise_15_a_program_that_the_consumer_starts_inherits_nothing(start_method: str) -> None:
    before = inheritable_fds()
    with running(mixed(itertools.count())):
        assert inheritable_fds() == before


def test_promise_15_a_program_that_a_worker_starts_inherits_nothing(start_method: str) -> None:
    """Nothing but the pipes that multiprocessing itself leaves open in every child that it starts."""
    with multiprocessing.get_context(start_method).Pool(1) as pool:
        plain = pool.apply(inheritable_fds)
    before = inheritable_fds()
    (found,) = pl.pr.map(inheritable_fds, [0])
    assert [fd for fd in found if "pipe:" not in fd and fd not in before] == []
    assert len(found) <= len(plain)


def sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def listening() -> set[str]:
    """Inodes of all sockets here that wait for connections."""
    found = set()
    for name, status, inode, listens in [
        ("tcp", 3, 9, "0A"),
        ("tcp6", 3, 9, "0A"),
        ("unix", 3, 6, "00010000"),
    ]:
        path = Path("/proc/net") / name
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[status] == listens:
                found.add(fields[inode])
    return found


def test_promise_15_nothing_listens(start_method: str) -> None:
    before = sockets_of(os.getpid())
    with running(mixed(itertools.count())):
        mine = sockets_of(os.getpid()) - before
        for pid in children():
            mine |= sockets_of(pid)
        assert mine & listening() == set()


class Garbled:
    """All segments of the runs of this process, to be written into as nobody of them would."""

    def __enter__(self) -> Garbled:
        self.maps = [mmap.mmap(fd, 0) for fd in segments()]
        return self

    def __exit__(self, *_: object) -> None:
        for each in self.maps:
            each.close()

    def spoil_blocks(self, spoil: Callable[[bytes], bytes]) -> int:
        """Change the descriptors of all elements that wait in queues; how many those were."""
        spoilt = 0
        for memory in self.maps:
            if len(memory) > 4 * MIB:  # an arena
                continue
            for at in range(0, len(memory), SLOT_BYTES):
                if memory[at] & 7 == READY and memory[at + KIND_AT] == BLOCK:
                    memory[at + BODY_AT : at + BODY_AT + 16] = spoil(memory[at + BODY_AT : at + BODY_AT + 16])
                    spoilt += 1
        return spoilt


def far_away(block: bytes) -> bytes:
    return (1 << 44).to_bytes(8, sys.byteorder) + block[8:]


def far_too_long(block: bytes) -> bytes:
    return block[:8] + (1 << 44).to_bytes(8, sys.byteorder)


def between_blocks(block: bytes) -> bytes:
    return (int.from_bytes(block[:8], sys.byteorder) + 8).to_bytes(8, sys.byteorder) + block[8:]


def negative(block: bytes) -> bytes:
    return b"\xff" * 16


@pytest.mark.parametrize("spoil", [far_away, far_too_long, between_blocks, negative])
def test_promise_15_a_descriptor_that_names_no_block_raises(
    spoil: Callable[[bytes], bytes], fork: None
) -> None:
    """Wherever it is read: the queues before, between and behind the workers are full of them."""
    stage = pl.pr.map(same, pl.pr.map(same, (bytes(1000) for _ in itertools.count()), maxsize=4), maxsize=4)
    elements = stage.to_iterable(maxsize=4)
    next(elements)
    for pid in children():
        wait_until_blocked(pid)
    with Garbled() as garbled:
        assert garbled.spoil_blocks(spoil) == 12
    with pytest.raises(CorruptMemory):
        for _ in elements:
            pass
    assert children() == set()


def test_promise_15_a_worker_that_reads_a_descriptor_that_names_no_block_raises(start_method: str) -> None:
    """The worker's own error arrives, with the place where it found it."""
    held = threading.Event()

    def source() -> Iterator[bytes]:
        yield from itertools.repeat(bytes(1000), 10)
        held.wait()

    def stop_here(x: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGSTOP)
        return x

    elements = iter(pl.pr.map(stop_here, source(), maxsize=4))
    reader = threading.Thread(target=lambda: caught.append(exception_of(elements)))
    caught: list[BaseException | None] = []
    reader.start()
    wait_until(lambda: [state(pid) for pid in children()] == ["T"], "the worker has stopped")
    (worker,) = children()
    with Garbled() as garbled:
        wait_until(lambda: garbled.spoil_blocks(lambda block: block) == 4, "the queue is full")
        assert garbled.spoil_blocks(far_away) == 4
    os.kill(worker, signal.SIGCONT)
    wait_until(lambda: bool(caught) or state(worker) in "TZX", "it has gone on")
    held.set()
    reader.join()
    assert isinstance(caught[0], CorruptMemory)
    assert caught[0].__notes__ == ["stage map(stop_here), element_index (1,)"]


def exception_of(elements: Iterator[Any]) -> BaseException | None:
    """What iterating raises."""
    try:
        for _ in elements:
            pass
    except BaseException as error:
        return error
    return None


def ring_with_elements() -> tuple[SharedRing, Segment, SharedIn]:
    """A ring with elements of every kind but pickles, which mean whatever they say."""
    nbytes = SharedRing.nbytes_for(8, 1)
    segment, arenas = Segment(nbytes), Arenas()
    ring = SharedRing(segment, 0, nbytes, arenas.create(8 * MIB), arenas)
    ring.create(8, 1)
    out = SharedOut(ring, 1, 0)
    for index, value in enumerate(
        [7, "abc", (1, 2.5, b"x"), b"x" * 1000, "y" * (2 * MIB), {"k": [None] * 50}]
    ):
        out.put(value, (index,) if index % 2 else (index, 1, 2))
    return ring, segment, SharedIn(ring, 2)


def read_garbage(seeds: range) -> None:
    """Take elements whose heads and bodies were overwritten at random."""
    for seed in seeds:
        rng = random.Random(seed)
        _ring, segment, inlet = ring_with_elements()
        slots = segment.nbytes // SLOT_BYTES * SLOT_BYTES
        with mmap.mmap(segment.fd, 0) as memory:
            first = next(at for at in range(0, slots, SLOT_BYTES) if memory[at] & 7 == READY)
            for number in range(6):
                at = first + number * SLOT_BYTES + HEAD_AT + rng.randrange(SLOT_BYTES - HEAD_AT - 8)
                garbage = rng.choice([rng.randbytes(8), b"\xff" * 8, bytes(8), bytes([rng.randrange(256)])])
                memory[at : at + len(garbage)] = garbage
        for _ in range(6):
            try:
                inlet.take_nowait()
            except REFUSALS:
                pass


def test_promise_15_random_heads_and_bodies_never_crash_their_reader() -> None:
    """In a forked copy, which a crash would not take down with everything else."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            read_garbage(range(60))
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0
