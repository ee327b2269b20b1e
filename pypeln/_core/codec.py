"""The element codec: one Python value <-> one payload. Two halves, one name."""

from pypeln._core.decoder import CorruptElement, decode
from pypeln._core.encoder import Encoder, encode

__all__ = ["CorruptElement", "Encoder", "decode", "encode"]
