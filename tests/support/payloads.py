"""What the payload of an element shows."""

PICKLED = 0x0C  # the first byte of one that pickle wrote


def is_native(payload: bytes) -> bool:
    """Whether an element was written without pickle."""
    return payload[:1] != bytes([PICKLED])
