from typing import Any

class CorruptElement(ValueError):
    """A payload is not one that an Encoder wrote."""

def decode(payload: bytes) -> Any:
    """Decode the payload of one element. Raises CorruptElement, or whatever unpickling raises."""
