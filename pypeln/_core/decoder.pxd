"""One payload -> one Python value."""

# Raises CorruptElement on anything that no Encoder writes, and never reads outside the nbytes. Pickle
# streams are trusted: what unpickling raises comes through unchanged.
cdef object decode_payload(const unsigned char* data, size_t nbytes)
