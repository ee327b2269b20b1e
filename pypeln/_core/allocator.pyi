from collections.abc import Callable
from typing import Any, TypeVar

from pypeln._core.arena import Arena

T = TypeVar("T")

def handler_for(arena: Arena) -> object: ...
def use(handler: object | None) -> object: ...
def made_in(arena: Arena, make: Callable[..., T], *args: Any, **kwargs: Any) -> T: ...
