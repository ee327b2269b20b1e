"""The anonymous file in which processes share the values of a namespace, and its locks.

A killed process may leave it neither locked nor broken. So the locks are record locks, which the kernel drops
with their holder, and new values are written beside the old ones before one small write switches to them.

Record locks belong to the process, and are lost when it closes *any* descriptor of the file. Hence one
`SharedFile` for each file in a process, and its descriptors are closed only with it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pypeln.descriptors import anonymous_file, handed, received
from pypeln.platforms import refuse_on_windows
from pypeln.turn import Turn

_HEADER_BYTES = 32  # token (16), then where the values are: offset (8), length (8)
_USERS, _VALUES = 0, 1  # the bytes of the file that are locked: by `acquire`, and to read or write values
_SHORTEST_NAP_S, _LONGEST_NAP_S = 0.0005, 0.01


class SharedFile:
    """The anonymous file behind namespaces, once for each process that has it.

    Args:
        fd: Its descriptor; belongs to this object from now on.
        token: What tells it from all other files, 16 bytes.
    """

    def __init__(self, fd: int, token: bytes) -> None:
        self.token = token
        self._fds = [fd]
        self._inherited: tuple[Callable[[], Any], Any] = (lambda: None), None
        self._reset()

    def _reset(self) -> None:
        self._turn = Turn()
        self._mutex = threading.Lock()

    @staticmethod
    def create() -> SharedFile:
        """A new one, without values.

        Raises:
            OSError: There is no room, or no descriptor, for it.
        """
        refuse_on_windows("a Namespace")
        if sys.platform == "win32":
            raise AssertionError("refused before")
        fd = anonymous_file("pypeln-namespace")
        shared = SharedFile(fd, os.urandom(16))
        _write(fd, shared.token + bytes(_HEADER_BYTES - len(shared.token)), 0)
        with _registry_lock:
            _registry[shared.token] = shared
        return shared

    @property
    def fd(self) -> int:
        return self._fds[0]

    def read(self) -> dict[str, bytes]:
        """The values, pickled."""
        with self._mutex, _RecordLock(self.fd, _VALUES):
            return self._read()[0]

    def update(self, changed: dict[str, bytes], removed: tuple[str, ...]) -> None:
        """Sets some values and removes others.

        Raises:
            KeyError: One to be removed is not there.
        """
        import pickle

        with self._mutex, _RecordLock(self.fd, _VALUES):
            values, begin, end = self._read()
            values.update(changed)
            for name in removed:
                del values[name]
            image = pickle.dumps(values)
            # Where the old image is not: a process that is killed amid this leaves that one valid.
            place = _HEADER_BYTES if _HEADER_BYTES + len(image) <= begin else end
            _write(self.fd, image, place)
            _write(self.fd, place.to_bytes(8, "little") + len(image).to_bytes(8, "little"), 16)

    def _read(self) -> tuple[dict[str, bytes], int, int]:
        """The values, and where they begin and end."""
        if sys.platform == "win32":
            raise AssertionError("refused before")
        import pickle

        header = os.pread(self.fd, _HEADER_BYTES, 0)
        begin = int.from_bytes(header[16:24], "little")
        length = int.from_bytes(header[24:32], "little")
        if not length:
            return {}, _HEADER_BYTES, _HEADER_BYTES
        return pickle.loads(os.pread(self.fd, length, begin)), begin, begin + length

    def acquire(self) -> None:
        """Waits until nobody else, here or in another process, has it."""
        self._turn.acquire()
        if self._turn.depth() == 1:
            try:
                _lock(self.fd, _USERS)
            except BaseException:
                self._turn.release()
                raise

    async def acquire_async(self) -> None:
        """Waits as `acquire`, while other tasks run."""
        import asyncio

        await self._turn.acquire_async()
        if self._turn.depth() > 1:
            return
        try:
            # The kernel tells no event loop that a record lock is free, and a thread that waits for one can
            # neither be called off nor left behind.
            nap_s = _SHORTEST_NAP_S
            while not _try_lock(self.fd, _USERS):
                await asyncio.sleep(nap_s)
                nap_s = min(2 * nap_s, _LONGEST_NAP_S)
        except BaseException:
            self._turn.release()
            raise

    def release(self) -> None:
        """Gives up what `acquire` got."""
        if self._turn.depth() == 1:
            _unlock(self.fd, _USERS)
        self._turn.release()

    def address(self) -> Any:
        """Where another process finds the file: a descriptor that it inherits, or one of ours."""
        popen = None
        if "multiprocessing.context" in sys.modules:
            from multiprocessing.context import get_spawning_popen

            popen = get_spawning_popen()
        if popen is None and os.path.exists("/proc/self/fd"):
            status = os.fstat(self.fd)
            return os.getpid(), self.fd, (status.st_dev, status.st_ino)

        if popen is None:
            return handed(self.fd)
        if self._inherited[0]() is not popen:  # a child cannot inherit the same descriptor twice
            self._inherited = weakref.ref(popen), handed(self.fd)
        return self._inherited[1]

    def keep(self, fd: int) -> None:
        """Takes over another descriptor of the file."""
        if fd not in self._fds:
            self._fds.append(fd)

    def __del__(self) -> None:
        for fd in self._fds:
            os.close(fd)

    @staticmethod
    def found(token: bytes, address: Any) -> SharedFile:
        """The file with this token, where another process, or this one, said with `address` that it is.

        Raises:
            RuntimeError: The process that said so has ended, so that nobody knows the file any more.
        """
        with _registry_lock:
            shared = _registry.get(token)
            fd = -1
            if not isinstance(address, tuple):
                fd = received(address)
                if shared is not None:
                    shared.keep(fd)
            elif shared is None:
                fd = _opened(*address)
            if shared is None:
                shared = _registry[token] = SharedFile(fd, token)
            return shared


# By token. Weak: the file goes with the last namespace that uses it.
_registry: weakref.WeakValueDictionary[bytes, SharedFile] = weakref.WeakValueDictionary()
_registry_lock = threading.RLock()


def _after_fork() -> None:
    """In the child: the record locks are still the parent's, and no other thread exists."""
    global _registry_lock
    _registry_lock = threading.RLock()
    for shared in list(_registry.values()):
        shared._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _opened(pid: int, fd: int, identity: tuple[int, int]) -> int:
    """A descriptor of our own for a file of another process."""
    if sys.platform == "win32":
        raise AssertionError("refused before")
    path = f"/proc/{pid}/fd/{fd}"
    try:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) == identity:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        pass
    raise RuntimeError(
        f"the Namespace cannot be found: process {pid}, which sent it, has ended or has closed it; "
        "keep it in the process that makes it for as long as others use it"
    )


class _RecordLock:
    """Holds one of the locks of a file."""

    __slots__ = ("_byte", "_fd")

    def __init__(self, fd: int, byte: int) -> None:
        self._fd = fd
        self._byte = byte

    def __enter__(self) -> None:
        _lock(self._fd, self._byte)

    def __exit__(self, *error: object) -> None:
        _unlock(self._fd, self._byte)


def _lock(fd: int, byte: int) -> None:
    if sys.platform == "win32":
        raise AssertionError("refused before")
    import errno
    import fcntl

    while True:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX, 1, byte)
            return
        except OSError as error:
            # The kernel takes a process for one actor and sees deadlocks where different threads hold and
            # wait.
            if error.errno != errno.EDEADLK:
                raise
        time.sleep(_SHORTEST_NAP_S)


def _try_lock(fd: int, byte: int) -> bool:
    if sys.platform == "win32":
        raise AssertionError("refused before")
    import errno
    import fcntl

    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        return True
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise


def _unlock(fd: int, byte: int) -> None:
    if sys.platform == "win32":
        raise AssertionError("refused before")
    import fcntl

    fcntl.lockf(fd, fcntl.LOCK_UN, 1, byte)


def _write(fd: int, data: bytes, offset: int) -> None:
    if sys.platform == "win32":
        raise AssertionError("refused before")
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)
