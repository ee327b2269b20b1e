from collections.abc import Generator
from typing import Any, final

from typing_extensions import Self

from pypeln._core.queue import InPort

@final
class Bypass:
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    def open(self, port: InPort) -> None: ...
    def shut(self) -> None: ...

@final
class Results:
    """An iterator over the results of a run."""

    def __init__(self, generator: Generator[Any], bypass: Bypass) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def close(self) -> None:
        """End the run; when this returns, everything that it started is gone."""
