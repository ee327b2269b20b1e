from typing import Final, final

from typing_extensions import Self

from pypeln._core.arena import Arena, Arenas
from pypeln._core.memory import Ledger, Segment
from pypeln._core.queue import InPort, OutPort

class ElementTooLarge(ValueError): ...

PARTS: Final[int]

@final
class SharedRing:
    def __new__(
        cls,
        segment: Segment,
        offset: int,
        nbytes: int,
        arena: Arena,
        arenas: Arenas,
        elastic: bool = False,
    ) -> Self: ...
    @property
    def arena(self) -> Arena: ...
    @property
    def arenas(self) -> Arenas: ...
    @staticmethod
    def nbytes_for(capacity: int, producers: int) -> int: ...
    def create(self, capacity: int, producers: int, several: bool = False, sole: bool = False) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def count(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def full(self) -> bool: ...
    @property
    def aborted(self) -> bool: ...
    @property
    def awaited(self) -> bool: ...
    def abort(self, bell: int = -1) -> None: ...
    def wake_all(self, bell: int = -1) -> None: ...
    def close_for(self, producer: int) -> None: ...
    def settle(self, ledger: Ledger, worker: int, owner: int) -> None: ...
    def mend(self, ledger: Ledger | None, worker: int, owner: int) -> int: ...
    def usage(self) -> dict[str, int]: ...

@final
class SharedIn(InPort):
    def __init__(
        self,
        home: SharedRing,
        owner: int,
        ledger: Ledger | None = None,
        worker: int = 0,
        copies: bool = False,
    ) -> None: ...

@final
class SharedOut(OutPort):
    def __init__(
        self,
        home: SharedRing,
        owner: int,
        producer: int,
        ledger: Ledger | None = None,
        worker: int = 0,
        outlet: int = 0,
    ) -> None: ...
