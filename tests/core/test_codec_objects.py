"""Objects in the codec: plain ones natively, all others by pickle, and nobody can tell which from outside."""

import abc
import collections
import copyreg
import dataclasses
import functools
import gc
import pickle
import sys
import types
import typing
import weakref

import numpy as np
import pytest
from support.payloads import is_native

import pypeln as pl
from pypeln._core.codec import CorruptElement, Encoder, decode, encode

OBJECT = 0x0F


class Simple:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None

    class Inner:
        pass


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    tags: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        assert self.x is not None


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str


class Derived(Point):
    @functools.cached_property
    def total(self):
        return self.x + self.y


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    def __init__(self, item):
        self.item = item

    def __eq__(self, other):
        return self.item == other.item

    __hash__ = None


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return self.side**2

    def __eq__(self, other):
        return self.side == other.side

    __hash__ = None


class Guarded:
    """Whose attributes nobody sets by assignment."""

    def __setattr__(self, name, value):
        raise AttributeError(name)

    @property
    def shown(self):
        return "the property"


def square(side):
    made = Square()
    made.side = side
    return made


def with_total():
    made = Derived(2)
    assert made.total == 2.5
    return made


PLAIN = [
    Simple(),
    Simple(a=1, b="two", c=3.0, d=None, e=True, f=b"six", g=[1, {"k": (2,)}]),
    Simple(**{f"field{n}": n for n in range(300)}),
    Simple(**{"a name that is far longer than most names of attributes are": 1, "\xe9\u20ac": 2}),
    Point(7, tags=["a", "b"]),
    Frozen("f"),
    with_total(),
    Box([1, 2]),
    square(3),
    [Point(1), Point(2), {"k": Frozen("in a dict")}],
    Simple(inner=Simple(inner=Point(3))),
    Simple(text="t" * 5000, data=bytes(70_000)),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_objects_travel_natively_and_come_back_equal(value):
    payload = encode(value)
    assert is_native(payload)
    assert decode(payload) == value == pickle.loads(pickle.dumps(value))


def test_what_comes_back_is_made_without_init_and_has_its_attributes_in_their_order():
    value = Point(1)
    value.x = None  # which __post_init__ would not allow
    value.later = "l"
    back = decode(encode(value))
    assert type(back) is Point and list(vars(back).items()) == list(vars(value).items())
    assert all(sys.intern(name) is name for name in vars(back))
    assert type(decode(encode(Simple.Inner()))) is Simple.Inner


def test_attributes_go_where_they_were_whatever_the_class_does_with_assignments():
    value = Guarded()
    value.__dict__.update(shown="the attribute", _Guarded__own=1)
    payload = encode(value)
    assert is_native(payload)
    assert vars(decode(payload)) == vars(value) and decode(payload).shown == "the property"


def test_one_object_in_two_places_stays_one():
    point = Point(1)
    for value in ([point, point], {"a": point, "b": (point,)}, Simple(a=point, b=point)):
        back = decode(encode(value))
        items = (
            list(back) if type(back) is list else list((back if type(back) is dict else vars(back)).values())
        )
        second = items[1][0] if type(items[1]) is tuple else items[1]
        assert items[0] is second
    loop = Simple()
    loop.own = [loop]
    back = decode(encode(loop))
    assert back.own[0] is back


def test_what_an_object_shares_with_a_dict_of_its_attributes_stays_shared():
    point = Point(1)
    back = decode(encode((point, vars(point))))
    assert back[0].tags is back[1]["tags"]


class Reduced:
    def __reduce__(self):
        return str, ("reduced",)


class WithState(Simple):
    def __getstate__(self):
        return {"state": "of its own"}


class TakesState(Simple):
    def __setstate__(self, state):
        self.taken = state


class WithArguments:
    def __new__(cls, *args):
        made = super().__new__(cls)
        made.args = args
        return made

    def __getnewargs__(self):
        return self.args

    def __eq__(self, other):
        return self.args == other.args

    __hash__ = None


class Slots:
    __slots__ = ("a",)

    def __eq__(self, other):
        return self.a == other.a

    __hash__ = None


class SlotsAndDict(Simple):
    __slots__ = ("a",)

    def __eq__(self, other):
        return self.a == other.a and vars(self) == vars(other)

    __hash__ = None


class Numbers(list):
    pass


class Failing(Exception):
    pass


class Proxy:
    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        return getattr(self.target, name)


class Meta(type):
    pass


class OfMeta(Simple, metaclass=Meta):
    pass


class Registered(Simple):
    pass


copyreg.pickle(Registered, lambda value: (Simple, ()))


def with_slots():
    value = Slots()
    value.a = 1
    return value


def with_both():
    value = SlotsAndDict(b=2)
    value.a = 1
    return value


SPECIAL = [
    Reduced(),
    WithState(a=1),
    TakesState(a=1),
    WithArguments(1, 2),
    with_slots(),
    with_both(),
    OfMeta(a=1),
    Registered(a=1),
    Numbers([1]),
    Simple(a=1j),
]


@pytest.mark.parametrize("value", SPECIAL, ids=lambda value: type(value).__name__)
def test_classes_that_say_how_they_are_pickled_are_pickled(value):
    payload = encode(value)
    assert not is_native(payload)
    expected = pickle.loads(pickle.dumps(value))
    assert type(decode(payload)) is type(expected) and decode(payload) == expected


def test_errors_and_proxies_are_pickled():
    assert decode(encode(Failing("why"))).args == ("why",)
    assert not is_native(encode(Failing()))
    proxy = Proxy(Point(1))
    # Pickle asks it for what it has not, and it answers for its target.
    with pytest.raises(RecursionError):
        pickle.loads(pickle.dumps(proxy))
    with pytest.raises(RecursionError):
        decode(encode(proxy))


def test_an_attribute_that_pickle_would_call_is_left_to_pickle():
    value = Simple()
    value.__reduce_ex__ = lambda protocol: (str, ("its own",))
    assert decode(encode(value)) == "its own"


def test_what_a_program_registers_later_counts():
    class_ = types.new_class("Later")
    class_.__module__ = __name__
    globals()["Later"] = class_
    encoder = Encoder()
    try:
        assert is_native(encoder.to_bytes(class_()))
        copyreg.pickle(class_, lambda value: (str, ("registered",)))
        assert decode(encoder.to_bytes(class_())) == "registered"
    finally:
        copyreg.dispatch_table.pop(class_, None)
        del globals()["Later"]


def test_classes_that_cannot_be_found_fail_as_in_pickle():
    class Local:
        pass

    class Renamed(Simple):
        pass

    Renamed.__qualname__ = "Simple"
    for value in (Local(), [Renamed()]):
        with pytest.raises((pickle.PicklingError, AttributeError)) as expected:
            pickle.dumps(value)
        with pytest.raises(type(expected.value)):
            encode(value)


def test_a_module_that_makes_its_classes_when_asked_may_use_the_same_encoder(monkeypatch):
    encoder = Encoder()
    module = types.ModuleType("made_when_asked")
    class_ = type("Made", (), {"__module__": module.__name__})

    def make(name):
        if name != class_.__name__:
            raise AttributeError(name)
        assert decode(encoder.to_bytes(["another"])) == ["another"]
        return class_

    module.__getattr__ = make
    monkeypatch.setitem(sys.modules, module.__name__, module)
    number, made = decode(encoder.to_bytes([1, class_()]))
    assert number == 1 and type(made) is class_


def test_arrays_and_other_values_in_objects_go_with_them_to_pickle():
    for held in (np.arange(3), np.arange(10_000), 1j, range(2), memoryview(b"m")):
        payload = encode(Simple(held=held))
        assert not is_native(payload)
        assert np.all(decode(payload).held == held)
    assert not is_native(encode([Point(1), Simple(held=np.arange(3))]))
    assert is_native(encode([Point(1), np.arange(3)]))


def test_an_encoder_keeps_no_object_alive():
    encoder = Encoder()
    value = Simple(a=[1])
    gone = weakref.ref(value)
    encoder.to_bytes(value)
    del value
    assert gone() is None


def test_classes_without_end_are_not_kept_without_end():
    encoder = Encoder()
    made, others = [], []
    for n in range(600):
        class_ = type(f"Made{n}", (), {})
        made.append(weakref.ref(class_))
        with pytest.raises((pickle.PicklingError, AttributeError)):
            encoder.to_bytes(class_())
        del class_
        others.append(weakref.ref(type(f"Other{n}", (), {})))
    gc.collect()
    # CPython 3.13t keeps all classes for ever, once a thread has been started.
    for_ever = sum(each() is not None for each in others)
    assert sum(each() is not None for each in made) - for_ever <= 256


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("nothing", CorruptElement, "names no class"),
        ("a b:Name", CorruptElement, "names no class"),
        ("a:b:c", CorruptElement, "names no class"),
        ("\ud800:Name", CorruptElement, "names no class"),
        (":Name", CorruptElement, "names no class"),
        ("no_such_module:Any", ModuleNotFoundError, "no_such_module"),
        ("json:Any", AttributeError, "Any"),
        ("json:loads", CorruptElement, "is no plain class"),
        ("builtins:int", CorruptElement, "is no plain class"),
        (f"{__name__}:Slots", CorruptElement, "is no plain class"),
        (7, CorruptElement, "the name of a class should come here"),
        (None, CorruptElement, "the name of a class should come here"),
        ([], CorruptElement, "nested too deep"),
    ],
)
def test_damaged_names_of_classes_are_errors(name, error, said):
    with pytest.raises(error, match=said):
        decode(bytes([OBJECT]) + encode(name) + b"\x00")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        (b"", "should follow"),
        (b"\x02\x41a\x80\x41a\x80", "an attribute twice"),
        (b"\x01\x80\x80", "the name of an attribute should come here"),
        (b"\x02\x41a\x80", "should follow"),
        (b"\x01\x41a", "no value here"),
        (b"\x01\x41", "should follow"),
    ],
)
def test_damaged_attributes_are_errors(attributes, said):
    start = bytes([OBJECT]) + encode(f"{__name__}:Simple")
    assert decode(start + b"\x00") == Simple()
    with pytest.raises(CorruptElement, match=said):
        decode(start + attributes)


def moved(point):
    return dataclasses.replace(point, x=point.x + 1)


@pytest.mark.parametrize("front", [pl.pr, pl.th], ids=["pr", "th"])
def test_objects_go_through_a_pipeline(front):
    points = [Point(n, tags=[n]) for n in range(500)]
    results = list(front.map(moved, points, workers=2) | pl.th.ordered)
    assert results == [Point(n + 1, tags=[n]) for n in range(500)]
    assert points == [Point(n, tags=[n]) for n in range(500)]


Pair = collections.namedtuple("Pair", "left right")
Elsewhere = collections.namedtuple("Elsewhere", "x")
Elsewhere.__qualname__ = "NotThere"


class Typed(typing.NamedTuple):
    left: int
    right: object = "default"

    def total(self):
        return self.left + len(self.right)


class Inherits(Pair):
    __slots__ = ()


class MakesItself(typing.NamedTuple):
    x: int


MakesItself.__new__ = lambda cls, x: tuple.__new__(cls, (x + 1,))


class PicklesItself(typing.NamedTuple):
    x: int

    def __reduce__(self):
        return PicklesItself, (self.x,)


class GivesArguments(typing.NamedTuple):
    x: int


GivesArguments.__getnewargs__ = lambda self: (self.x,)


@pytest.mark.parametrize(
    "value", [Pair(1, [2]), Typed(3), Typed(4, "four"), Pair(Pair(1, 2), {"k": Typed(5)})]
)
def test_named_tuples_travel_natively(value):
    payload = encode(value)
    assert is_native(payload)
    arrived = decode(payload)
    assert arrived == value == pickle.loads(pickle.dumps(value))
    assert repr(arrived) == repr(value)
    if isinstance(value, Typed) and isinstance(value.right, str):
        assert arrived.total() == value.total()


@pytest.mark.parametrize("value", [Inherits(1, 2), PicklesItself(1), GivesArguments(1)])
def test_named_tuples_with_a_say_in_how_they_are_pickled_are_pickled(value):
    payload = encode(value)
    assert not is_native(payload)
    assert decode(payload) == value


def test_a_named_tuple_that_makes_itself_is_made_by_it():
    payload = encode([tuple.__new__(MakesItself, (1,))])
    assert not is_native(payload)
    assert decode(payload) == [(2,)]


def test_a_named_tuple_that_is_not_where_it_says_is_an_error_of_pickle():
    with pytest.raises(pickle.PicklingError):
        encode(Elsewhere(1))


def test_an_array_in_a_named_tuple_arrives():
    for array in (np.arange(3), np.arange(10_000)):
        payload = encode(Pair(array, 1))
        assert is_native(payload)
        assert np.array_equal(decode(payload).left, array)


def test_a_named_tuple_needs_as_many_items_as_it_has_names():
    payload = encode(Pair(1, 2))
    assert payload[-3] == 2  # how many items follow
    with pytest.raises(CorruptElement, match="a Pair has 2 items, and not 1"):
        decode(payload[:-3] + b"\x01" + payload[-1:])


def test_a_class_is_made_by_its_kind_only():
    named, plain = encode(Pair(1, 2)), encode(Simple(a=1))
    with pytest.raises(CorruptElement, match="is a named tuple"):
        decode(bytes([OBJECT]) + named[1:])
    with pytest.raises(CorruptElement, match="is no named tuple"):
        decode(named[:1] + plain[1:])
