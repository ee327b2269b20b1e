"""The element codec: what comes out is what went in, and nothing of it is left behind."""

import array
import collections
import datetime
import doctest
import enum
import gc
import math
import pickle
import struct
import sys
import threading
import typing
import weakref

import numpy as np
import pytest
from support.payloads import is_native

from pypeln._core import decoder, encoder
from pypeln._core.codec import CorruptElement, Encoder, decode, encode


def roundtrip(value):
    return decode(encode(value))


def same(left, right):
    """Equal in type and in every bit, all the way down."""
    if type(left) is not type(right):
        return False
    if type(left) is float:
        return struct.pack("d", left) == struct.pack("d", right)
    if type(left) in (tuple, list):
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is dict:
        return same(list(left.items()), list(right.items()))
    if isinstance(left, tuple):
        return same(tuple(left), tuple(right))
    if isinstance(left, np.generic):
        return left.tobytes() == right.tobytes()
    if type(left) in (datetime.datetime, datetime.time):
        return left == right and left.tzinfo is right.tzinfo and left.fold == right.fold
    return bool(left == right)


EDGES = sorted({sign * 2**bits + near for bits in (0, 4, 7, 8, 15, 16, 31, 32, 63, 64, 65, 200)
                for sign in (-1, 1) for near in (-1, 0, 1)} | {-17, -16, 111, 112, 10**40})  # fmt: skip

Point = collections.namedtuple("Point", "x y")


class Named(typing.NamedTuple):
    name: str
    values: list
    more: object = None

    def first(self):
        return self.values[0]


NATIVE = [
    None,
    True,
    False,
    *EDGES,
    *[0.0, -0.0, 1.5, math.inf, -math.inf, 5e-324, struct.unpack("d", b"\x01\0\0\0\0\0\xf8\xff")[0]],
    *["a" * n for n in (0, 1, 2, 7, 8, 9, 15, 16, 17, 62, 63, 64, 127, 128, 2047, 2048, 2049, 100_000)],
    *["\xe9" * n for n in (1, 8, 63, 64, 2048)],
    *["a" * 30 + "\xe9", "\u017c\xf3\u0142w", "\0", "\0" * 70],
    *["\u20ac" * 5000, "\U0001f600", "a\U0001f600" * 3000],
    *["\ud800", "\udfff" * 3000, "\ud83d\ude00", "a\udc80b\U0001f600"],
    *[bytes(n) for n in (0, 1, 127, 128, 2047, 2048, 70_000)],
    *[(), (1,), (1, 2, 3), (1000, 2.5, "abc"), tuple(range(300)), ((1, ("a", b"b")), (None,))],
    *[[], [1], [[1, 2], [3, 4]], [[], {}, ()], list(range(-1000, 1000))],
    *[{}, {"a": 1}, {1: "x", None: 2, (1, "k"): [3], 2.5: True, b"b": False, "\xe9": 1, "\u20ac": 2}],
    {f"key{i}": [i, float(i), str(i)] for i in range(1500)},
    {"a-key-that-is-far-longer-than-most-keys-are": 1, "k" * 32: 2, "k" * 33: 3, "": 4},
    {"image": bytes(5000), "mask": bytes(3000), "name": "n", "text": "t" * 9000},
    [[[[[[[[1]]]]]]]],
    *[set(), {1}, {1, 2.5, "a", b"b", None, (1, "k"), frozenset()}, set(range(-1000, 1000))],
    *[frozenset(), frozenset("abc"), frozenset([frozenset([frozenset()]), (1, 2)]), {"tags": {"a", "b"}}],
    *[({1},), [{1}, {1}], {frozenset("ab"): {2}}, {datetime.date(2020, 2, 29), datetime.date.min}],
    *[datetime.date.min, datetime.date.max, datetime.date(2024, 2, 29)],
    *[datetime.datetime.min, datetime.datetime.max, datetime.datetime(2024, 2, 29, 1, 2, 3, 456789, fold=1)],
    *[datetime.datetime(1999, 12, 31, 23, 59, 59, 999999, datetime.timezone.utc)],
    *[datetime.time.min, datetime.time.max, datetime.time(1, 2, 3, 4, fold=1)],
    *[datetime.time(5, tzinfo=datetime.timezone.utc), datetime.time(5, tzinfo=datetime.timezone.utc, fold=1)],
    *[datetime.timedelta.min, datetime.timedelta.max, datetime.timedelta(-1, 5, 6), datetime.timedelta()],
    *[np.dtype(char).type(value) for char in "?bBhHiIlLqQefdFD" for value in (0, 1)],
    *[np.float64(math.nan), np.float64(-0.0), np.int64(-(2**63)), np.uint64(2**64 - 1), np.complex64(1 + 2j)],
    {"mean": np.float64(1.5), "counts": (np.int32(1), np.uint8(255)), np.int64(3): np.bool_(True)},
    *[Point(1, 2.5), Point((), [Point(None, {"a": Point(1, 2)})]), [Point(n, str(n)) for n in range(300)]],
    *[Named("n", [1, 2]), Named("n", [], Named("m", [Point(1, 2)])), {Point(1, 2): {Point(3, 4)}}],
    [{"at": datetime.datetime(2024, 1, 1, 12), "for": datetime.timedelta(1)}, datetime.date(2024, 1, 1)],
]


@pytest.mark.parametrize("value", NATIVE, ids=lambda value: repr(value)[:40])
def test_plain_values_travel_natively_and_come_back_the_same(value):
    payload = encode(value)
    assert is_native(payload)
    assert same(decode(payload), value)


def test_common_values_fit_a_slot():
    assert len(encode(7)) == len(encode(None)) == len(encode(True)) == 1
    assert [len(encode(n)) for n in (100, 120, 1000, 10**6, 10**15)] == [1, 2, 3, 5, 9]
    assert len(encode(0.1)) == 9
    assert len(encode("x" * 39)) == 40
    assert len(encode((10**6, 0.5, "north"))) <= 40


class Colour(enum.IntEnum):
    RED = 1


class Name(str):
    __slots__ = ("extra",)


class Bag(list):
    pass


class Located(Point):
    __slots__ = ()


class Tags(set):
    pass


class Tag(frozenset):
    pass


class Day(datetime.date):
    pass


class Zone(datetime.tzinfo):
    def __eq__(self, other):
        return type(other) is Zone

    def __repr__(self):
        return "Zone()"

    def utcoffset(self, when):
        return datetime.timedelta(hours=1)


SUBCLASSES = [
    Colour.RED,
    Name("n"),
    Located(1, 2),
    Bag([1, 2]),
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    collections.defaultdict(list, a=[1]),
    Tags("ab"),
    Tag("ab"),
    {1, Colour.RED, Located(1, 2)},
    Day(2024, 1, 1),
    np.longdouble(1.5),
    np.str_("ab"),
    np.datetime64("2024-01-01"),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
    datetime.datetime(2024, 1, 1, tzinfo=Zone()),
    datetime.time(1, tzinfo=Zone()),
    bytearray(b"abc"),
    bytearray(10_000),
    complex(1, 2),
    range(5),
    array.array("d", range(1000)),
    [Colour.RED, 1],
    {"p": Located(1, 2)},
]


@pytest.mark.parametrize("value", SUBCLASSES, ids=lambda value: type(value).__name__)
def test_other_types_keep_their_type(value):
    payload = encode(value)
    assert not is_native(payload)
    back = decode(payload)
    assert back == value
    assert type(back) is type(value)
    # The order in which a set shows its elements is not part of its value.
    assert isinstance(value, (set, frozenset)) or repr(back) == repr(value)


def test_a_shared_list_stays_one_list():
    shared = [1]
    for value in ([shared, shared], (shared, shared), {"a": shared, "b": shared}, [(shared,), (shared,)]):
        back = roundtrip(value)
        first, second = back.values() if isinstance(back, dict) else back
        if isinstance(first, tuple):
            (first,), (second,) = first, second
        assert first == [1]
        assert first is second


def test_a_list_inside_a_shared_tuple_stays_one_list():
    inner = ([],)  # only the tuple refers to the list
    first, second = roundtrip([inner, inner])
    assert first[0] is second[0]
    deeper = ((([],),),)
    first, second = roundtrip((deeper, deeper))
    assert first[0][0][0] is second[0][0][0]


def test_a_list_shared_across_levels_stays_one_list():
    shared = {}
    back = roundtrip([shared, [[shared]], {"k": (shared,)}])
    assert back[0] is back[1][0][0]
    assert back[0] is back[2]["k"][0]


def test_values_that_contain_themselves_still_do():
    value = [1]
    value.append(value)
    back = roundtrip(value)
    assert back[1] is back
    record = {}
    record["self"] = (record,)
    back = roundtrip(record)
    assert back["self"][0] is back
    loop = ([],)
    loop[0].append(loop)
    back = roundtrip(loop)
    assert back[0][0] is back


def test_equal_lists_stay_two_lists():
    first, second = roundtrip([[1], [1]])
    assert first is not second


def test_containers_that_others_refer_to_are_native_as_long_as_they_occur_once():
    rows = [[n] for n in range(10)]
    assert is_native(encode(rows))
    kept = list(rows)
    assert is_native(encode(rows))
    assert roundtrip(rows) == kept


@pytest.mark.parametrize("count", [15, 16, 17, 18, 63, 64, 65, 5000])
def test_however_many_containers_others_refer_to_each_is_met_once(count):
    encoder = Encoder()
    for _ in range(2):  # the second time in the table of the first
        rows = [[n] for n in range(count)]
        kept = list(rows)
        payload = encoder.to_bytes(rows)
        assert is_native(payload)
        assert decode(payload) == kept
        for again in (0, count // 2, count - 1):
            payload = encoder.to_bytes([*rows, rows[again]])
            assert not is_native(payload)
            back = decode(payload)
            assert back[again] is back[-1]
            assert len({id(row) for row in back}) == count


def test_deep_nesting_goes_to_pickle():
    value = 1
    for _ in range(200):
        value = [value]
    assert not is_native(encode(value))
    assert roundtrip(value) == value


def test_repetition_does_not_blow_a_payload_up():
    text = "x" * 1000
    level = (0,) * 100
    for value in (
        [text] * 10_000,
        ((level,) * 100,) * 1000,
        [b"y" * 5000] * 1000,
        [{text: 1} for _ in range(1000)],
    ):
        assert len(encode(value)) < 200_000
        assert roundtrip(value) == value


def test_a_large_value_that_occurs_once_is_no_repetition():
    for value in ("x" * 200_000, (1,) * 200_000, {"a": b"y" * 200_000}, [str(n) * 20 for n in range(5000)]):
        assert is_native(encode(value))


def arrays():
    grid = np.arange(60_000, dtype=np.float32).reshape(200, 300)
    return [
        grid,
        grid.T,
        np.asfortranarray(grid),
        grid[::2, ::3],
        grid[:0],
        np.array(3.5),
        np.arange(5),
        np.ones(500_000),
    ]


@pytest.mark.parametrize("value", arrays(), ids=lambda value: f"{value.shape}-{value.flags.f_contiguous}")
def test_arrays_arrive_equal_and_writable(value):
    back = roundtrip(value)
    assert back.dtype == value.dtype
    assert np.array_equal(back, value)
    assert back.flags.writeable
    back[...] = 7
    assert (back == 7).all()


@pytest.mark.parametrize("size", [10, 10_000])
def test_readonly_arrays_arrive_readonly(size):
    value = np.arange(size)
    value.flags.writeable = False
    back = roundtrip(value)
    assert np.array_equal(back, value)
    assert not back.flags.writeable


def test_large_buffers_lie_aligned_behind_the_head():
    parts = [np.full(3000 + n, n + 1, dtype=np.uint8) for n in range(5)]
    payload = encode(parts)
    for part in parts:
        assert payload.count(part.tobytes()) == 1
        assert payload.index(part.tobytes()) % 64 == 0
    native = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"
    for value, octets in [
        (b"abc" * 1000, b"abc" * 1000),
        ("xy" * 1500, b"xy" * 1500),
        ("\u20ac\u017c" * 1500, ("\u20ac\u017c" * 1500).encode(native)),
    ]:
        for payload in (encode(value), encode({"key": (1, value)})):
            assert payload.index(octets) % 64 == 0
            assert payload.index(octets) + len(octets) == len(payload)


def test_small_buffers_travel_in_band():
    assert len(encode(np.zeros(100, dtype=np.uint8))) < 64 + 1000


def test_an_array_is_there_once():
    value = np.arange(100_000)
    assert len(encode(value)) < value.nbytes + 1000
    first, second = roundtrip([value, value])
    assert first is second


def test_a_large_pickle_stream_travels():
    value = [complex(n) for n in range(5000)]
    payload = encode(value)
    assert not is_native(payload)
    assert decode(payload) == value


def test_the_payload_is_a_snapshot():
    value = np.arange(10_000)
    record = {"a": [1, 2]}
    payload, other = encode(value), encode(record)
    value[:] = 0
    record["a"].append(3)
    assert np.array_equal(decode(payload), np.arange(10_000))
    assert decode(other) == {"a": [1, 2]}


def test_two_decodings_share_no_memory():
    payload = encode(np.arange(10_000))
    first, second = decode(payload), decode(payload)
    first[:] = 0
    assert np.array_equal(second, np.arange(10_000))
    assert np.array_equal(decode(payload), np.arange(10_000))


def test_an_encoder_is_reused_without_a_trace_of_the_value_before():
    one = Encoder()
    values = [np.arange(9999), 1, "x" * 5000, {"a": b"c" * 4000}, (), {1, 2}, None, list(range(100_000)), 3]
    shared = []
    values += [[shared, shared], [shared], "y" * 60_000, [shared] * 3, 2**70]
    for _ in range(3):
        for value in values:
            payload = one.to_bytes(value)
            assert payload == encode(value)
            assert bool(np.all(decode(payload) == value))


class Plain:
    pass


def test_an_encoder_keeps_nothing_alive_and_nothing_locked():
    one = Encoder()
    value = np.arange(10_000)
    gone = weakref.ref(value)
    one.to_bytes(value)
    del value
    assert gone() is None
    scratch = bytearray(10_000)
    one.to_bytes([pickle.PickleBuffer(scratch)])
    scratch.extend(b"more")  # a BufferError if it were still exported
    text = b"z" * 10_000
    before = sys.getrefcount(text)
    one.to_bytes([text])
    assert sys.getrefcount(text) == before


class Breaks:
    def __reduce__(self):
        raise KeyError("two", "arguments")


def test_what_pickling_raises_comes_through_and_the_encoder_works_on():
    one = Encoder()
    with pytest.raises(KeyError) as caught:
        one.to_bytes([1, np.arange(10_000), Breaks()])
    assert caught.value.args == ("two", "arguments")
    with pytest.raises((pickle.PicklingError, AttributeError)):
        one.to_bytes(lambda: None)
    with pytest.raises(TypeError):
        one.to_bytes(threading.Lock())
    assert one.to_bytes(5) == encode(5)


def unpickling_fails():
    raise LookupError("no such thing here")


class FailsThere:
    def __reduce__(self):
        return unpickling_fails, ()


def test_what_unpickling_raises_comes_through():
    with pytest.raises(LookupError, match="no such thing here"):
        roundtrip(FailsThere())


class Nested:
    """Pickling it uses the encoder that is pickling it."""

    def __init__(self, encoder):
        self.encoder = encoder

    def __reduce__(self):
        return bytes, (self.encoder.to_bytes([1, "inner", np.arange(9999)]),)


def test_pickling_may_come_back_to_the_same_encoder():
    one = Encoder()
    payload = one.to_bytes([Nested(one), np.ones(9999), Nested(one)])
    first, ones, second = decode(payload)
    assert first == second == encode([1, "inner", np.arange(9999)])
    assert (ones == 1).all()


class Empties:
    """Pickling it empties the container that it lies in."""

    def __init__(self, container):
        self.container = container

    def __reduce__(self):
        self.container.clear()
        return Plain, ()


def test_a_value_that_changes_while_it_is_pickled_is_an_error_or_a_value():
    row = [1, 2, 3]
    row.insert(1, Empties(row))
    try:
        assert isinstance(roundtrip(row), list)
    except RuntimeError:
        assert sys.version_info >= (3, 14)  # from there on pickle looks at lists as well
    record = {"a": 1}
    record["b"] = Empties(record)
    record["c"] = 2
    with pytest.raises(RuntimeError):
        encode(record)


def test_threads_may_change_what_another_encodes():
    rows = [[n] for n in range(200)]
    record = {n: [str(n)] for n in range(200)}
    stop = threading.Event()

    def disturb():
        while not stop.is_set():
            rows.append([rows.pop(0)[0], 10**30])
            record[record.popitem()[0]] = [str(len(rows))]
            if len(record) < 200:
                record[len(record)] = []

    disturber = threading.Thread(target=disturb)
    disturber.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(300):
            assert len(roundtrip(list(rows))) >= 199
            for value in (rows, record):
                try:
                    payload = encode(value)
                except RuntimeError:  # pickle notices a dict that changes
                    continue
                assert type(decode(payload)) is type(value)
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        disturber.join()


def test_threads_decode_records_side_by_side():
    records = [{f"{worker}-{n % 700:04}": n for n in range(300)} for worker in range(4)]
    payloads = [encode(record) for record in records]
    wrong = []

    def check(worker):
        for _ in range(100):
            if decode(payloads[worker]) != records[worker]:
                wrong.append(worker)

    threads = [threading.Thread(target=check, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_keys_that_look_alike_are_told_apart():
    names = [f"{a}{b}{c}" for a in "xy" for b in ("", "m", "n", "mm", "mn") for c in "xy"]
    names += [
        "prefix00" + middle + "suffix00" for middle in ("", "a", "b", "ab", "ba", "aaaaaaaa", "\xe9", "\xe8")
    ]
    names += [f"key{n}" for n in range(3000)]
    for _ in range(2):
        assert [list(roundtrip({name: 1})) for name in names] == [[name] for name in names]
    assert list(roundtrip(dict.fromkeys(names))) == names


@pytest.mark.skipif(
    not getattr(sys, "_is_gil_enabled", lambda: True)(), reason="keys are cached under the GIL"
)
def test_records_share_their_keys():
    payload = encode({"a key of records": 1})
    assert next(iter(decode(payload))) is next(iter(decode(payload)))


def test_nothing_leaks():
    one = Encoder()
    shared = [1]
    values = [
        1,
        10**30,
        "x" * 3000,
        (1, "a", [2.5]),
        {"k": {"l": b"m" * 3000}},
        [shared, shared],
        np.arange(2000),
        {1},
    ]
    good = [one.to_bytes(value) for value in values]
    bad = [payload[:-1] for payload in good] + [
        b"\x0b\x02\x41a\x80\x41a\x80",
        b"\x0b\x01\x0a\x00\x80",
        b"\x09\x03\x80\x80\x00",
    ]

    def work():
        for value in values:
            decode(one.to_bytes(value))
        for payload in bad:
            with pytest.raises(CorruptElement):
                decode(payload)
        with pytest.raises(KeyError):
            one.to_bytes([[1], "x" * 3000, Breaks()])

    def blocks():
        for _ in range(50):
            work()
        gc.collect()
        return sys.getallocatedblocks()

    blocks()
    before = blocks()
    grown = min(blocks() - before for _ in range(3))
    assert grown < 100


def pickled_dtype(code):
    pickled = pickle.dumps(np.dtype(code), 5)
    return b"\xff" + bytes([len(pickled)]) + pickled


MALFORMED = {
    "nothing": b"",
    "zeroes": bytes(8),
    "unknown tag": b"\x0f",
    "unknown tag of a piece": b"\x2f" + bytes(16),
    "more behind the value": b"\x80\x80",
    "half an int": b"\x07\x01\x02",
    "half a str": b"\x45abc",
    "a str of half a character": b"\x12\x03abc",
    "a narrow str in a wide kind": b"\x12\x02a\x00",
    "a narrow str in the widest kind": b"\x13\x04\xac\x20\x00\x00",
    "a character beyond Unicode": b"\x13\x04\x00\x00\x11\x00",
    "a tuple of more than there is": b"\x09\x05\x80",
    "a list of far too many": b"\x0a\xff\xff\xff\xff\xff\xff\xff\x7f",
    "an endless size": b"\x10" + b"\xff" * 20,
    "a size beyond memory": b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    "a dict with half a pair": b"\x0b\x01\x80",
    "a key twice": b"\x0b\x02\x80\x80\x80\x80",
    "a list as a key": b"\x0b\x01\x0a\x00\x80",
    "a tuple with a list as a key": b"\x0b\x01\x09\x01\x0a\x00\x80",
    "endless nesting": b"\x0a\x01" * 1000 + b"\x80",
    "a pickle inside": b"\x09\x01\x0c\x00\x10\x02N.",
    "a pickle without a stream": b"\x0c\x00",
    "a pickle with a str for a stream": b"\x0c\x00\x42N.",
    "a pickle with too large a table": b"\x0c\x7f" + bytes(100),
    "a piece at the start": b"\x30" + struct.pack("QQ", 0, 1) + bytes(100),
    "a piece off its alignment": b"\x30" + struct.pack("QQ", 63, 10) + bytes(100),
    "a piece behind the end": b"\x30" + struct.pack("QQ", 64, 2**63) + bytes(100),
    "a piece that wraps around": b"\x30" + struct.pack("QQ", 64, 2**64 - 64) + bytes(100),
    "a piece far away": b"\x30" + struct.pack("QQ", 2**64 - 64, 128) + bytes(100),
    "a piece and more": b"\x30" + struct.pack("QQ", 64, 10) + bytes(100),
    "an array of nothing": b"\x0e",
    "an array nowhere": b"\x0e\x03\x08" + bytes(8) + b"\x0b\x01\x01",
    "an array in a block that nobody refers to": b"\x0e\x02\x00\x00\x08\x0b\x01\x01",
    "an array that ends early": b"\x0e\x00\x08" + bytes(8) + b"\x0b\x01",
    "an array of no type": b"\x0e\x00\x08" + bytes(8) + b"\x7f\x01\x01",
    "an array of a broken type": b"\x0e\x00\x08" + bytes(8) + b"\xff\x03abc\x01\x01",
    "an array of objects": b"\x0e\x00\x08" + bytes(8) + pickled_dtype("O") + b"\x01\x01",
    "an array beyond its data": b"\x0e\x00\x08" + bytes(8) + b"\x0b\x01\x02",
    "an array that strides beyond its data": b"\x0e\x00\x10" + bytes(16) + b"\x0b\x81\x02\x20",
    "an array that wraps around": b"\x0e\x00\x08" + bytes(8) + b"\x0b\x02" + b"\x80\x80\x80\x80\x10" * 2,
    "an array of too many dimensions": b"\x0e\x00\x08" + bytes(8) + b"\x0b\x3f" + b"\x01" * 63 + b"\x80",
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_malformed_payloads_are_named_as_such(payload):
    with pytest.raises(
        CorruptElement, match=rf"payload of {len(payload)} bytes is malformed at byte \d+: \w+"
    ):
        decode(payload)


def test_decode_takes_bytes_only():
    for wrong in (None, "text", 5):
        with pytest.raises(TypeError):
            decode(wrong)


@pytest.mark.parametrize("module", [encoder, decoder], ids=lambda module: module.__name__)
def test_the_examples_of_the_docstrings_hold(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 1
    assert outcome.failed == 0
