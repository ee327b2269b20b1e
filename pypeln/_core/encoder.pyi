from typing import Any, final

@final
class Encoder:
    """Encodes values, one after the other. One per port; belongs to one thread."""

    def to_bytes(self, value: Any) -> bytes:
        """Encode a value and return its payload."""

def encode(value: Any) -> bytes:
    """Encode a value and return its payload, as Encoder.to_bytes of a fresh encoder does."""
