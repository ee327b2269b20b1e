"""The element codec: one Python value <-> one payload. Two halves, one name."""
from pypeln._core.decoder cimport decode_payload as decode
from pypeln._core.encoder cimport Encoder
