"""The element codec under generated values and damaged payloads.

Payloads of pickle are damaged in their table only: a pickle stream is trusted, as everywhere in Python.
"""

import datetime
import pickle
import struct

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.payloads import is_native

from pypeln._core.codec import CorruptElement, decode, encode

fuzz = settings(max_examples=200, deadline=None)

texts = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, exclude_categories=())) | st.text(
    "ab\xe9", max_size=80
)
zones = st.sampled_from([None, datetime.timezone.utc])
dates = st.dates() | st.datetimes(timezones=zones) | st.times(timezones=zones) | st.timedeltas()
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-200, 200)
    | st.floats()
    | texts
    | st.binary()
    | dates
)
large = st.sampled_from([b"p" * 2048, b"q" * 5000, "r" * 2100, "\u20ac" * 1024, "\U0001f600" * 600])
keys = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=3)
values = st.recursive(
    scalars | large,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(keys, inner, max_size=5)
        | st.sets(keys, max_size=5)
    ),
    max_leaves=25,
)


def shape(value, known=None):
    """A value as text that tells types, bits, and which mutable containers are one and the same."""
    known = {} if known is None else known
    if type(value) is float:
        return struct.pack("d", value).hex()
    if type(value) not in (tuple, list, dict, set, frozenset):
        return f"{type(value).__name__}:{value!r}"
    if type(value) not in (tuple, frozenset):
        if id(value) in known:
            return f"again {known[id(value)]}"
        known[id(value)] = len(known)
    parts = value
    if type(value) is dict:
        parts = [part for pair in value.items() for part in pair]
    shapes = [shape(part, known) for part in parts]
    if type(value) in (set, frozenset):
        shapes.sort()
    return f"{type(value).__name__}({','.join(shapes)})"


@fuzz
@given(values)
def test_any_plain_value_comes_back_the_same(value):
    assert shape(decode(encode(value))) == shape(value)


@st.composite
def tangles(draw):
    """Containers that hold each other in any way, circles included."""
    nodes = [draw(st.sampled_from([list, dict])) for _ in range(draw(st.integers(1, 6)))]
    nodes = [kind() for kind in nodes]
    for node in nodes:
        for n in range(draw(st.integers(0, 4))):
            child = draw(st.integers(0, 5) | st.sampled_from(nodes).map(lambda node: node))
            if draw(st.booleans()):
                child = (child,)
            if type(node) is list:
                node.append(child)
            else:
                node[n] = child
    return nodes[0] if draw(st.booleans()) else tuple(nodes)


@fuzz
@given(tangles())
def test_sharing_and_circles_come_back_as_pickle_keeps_them(value):
    assert shape(decode(encode(value))) == shape(pickle.loads(pickle.dumps(value, 5))) == shape(value)


def decoded_or_corrupt(payload):
    """Whatever a payload decodes to must be a value like any other."""
    try:
        value = decode(payload)
    except CorruptElement:
        return
    assert shape(decode(encode(value))) == shape(value)


@fuzz
@given(st.binary(max_size=200))
def test_random_bytes_are_corrupt_or_a_value(payload):
    assume(is_native(payload))
    decoded_or_corrupt(payload)


tags = st.sampled_from(
    [*range(1, 0x0C), 0x0D, *range(0x10, 0x1B), *range(0x30, 0x34), *range(0x40, 0x48), 0x80, 0x90, 0xFF]
)


@fuzz
@given(st.lists(tags | st.integers(0, 255), min_size=1, max_size=60))
def test_random_tags_are_corrupt_or_a_value(payload):
    assume(is_native(bytes(payload)))
    decoded_or_corrupt(bytes(payload))


@fuzz
@given(values, st.data())
def test_damaged_payloads_are_corrupt_or_a_value(value, data):
    payload = bytearray(encode(value))
    assume(is_native(payload))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(payload), 150)))
        change = data.draw(st.sampled_from(["set", "insert", "cut", "drop"]))
        if change == "insert":
            payload[place:place] = data.draw(st.binary(max_size=70))
        elif change == "cut":
            del payload[place:]
        elif change == "drop":
            del payload[place : place + data.draw(st.integers(1, 70))]
        elif place < len(payload):
            payload[place] = data.draw(st.integers(0, 255))
    assume(is_native(payload))
    decoded_or_corrupt(bytes(payload))


@settings(max_examples=50, deadline=None)
@given(values)
def test_no_beginning_of_a_payload_is_a_payload(value):
    payload = encode(value)
    for end in {*range(min(len(payload), 200)), len(payload) - 1}:
        with pytest.raises(CorruptElement):
            decode(payload[:end])


class Holder:
    """Something of which pickle protocol 5 takes the buffers out of band."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce_ex__(self, protocol):
        return Holder, tuple(pickle.PickleBuffer(part) for part in self.parts)


PARTS = [bytearray(b"a" * 2100), b"b" * 3000, bytearray(b"c" * 2048)]
HELD = encode(Holder(*PARTS))
ENTRY = struct.Struct("=QQB")
TABLE = 2  # behind the tag and the count


def test_buffers_arrive_in_their_places_writable_or_not():
    parts = decode(HELD).parts
    assert [bytes(part) for part in parts] == [bytes(part) for part in PARTS]
    assert [type(part) for part in parts] == [bytearray, bytes, bytearray]


fields = (
    st.integers(0, 2**64 - 1)
    | st.integers(0, len(HELD) + 64)
    | st.integers(0, len(HELD) // 64 + 1).map(lambda n: n * 64)
)


@fuzz
@given(st.integers(0, 2), fields, fields)
def test_a_damaged_buffer_table_is_corrupt_or_names_other_bytes_of_the_payload(entry, offset, nbytes):
    payload = bytearray(HELD)
    ENTRY.pack_into(payload, TABLE + entry * ENTRY.size, offset, nbytes, 0)
    try:
        parts = decode(bytes(payload)).parts
    except CorruptElement:
        return
    assert bytes(parts[entry]) == HELD[offset : offset + nbytes]
    assert len(parts[entry]) == nbytes


@fuzz
@given(st.integers(0, 1 + 3 * ENTRY.size), st.integers(0, 255))
def test_a_damaged_byte_of_the_buffer_table_never_reaches_beyond_the_payload(place, octet):
    payload = bytearray(HELD)
    payload[place] = octet
    assume(not is_native(payload))
    try:
        decoded = decode(bytes(payload))
    except (CorruptElement, pickle.UnpicklingError):
        return
    assert all(bytes(part) in HELD for part in decoded.parts)
