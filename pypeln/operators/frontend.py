"""All calls of one kind of worker: what a front-end module exports."""

from __future__ import annotations

from pypeln.operators.batch import Batch, IoBatch
from pypeln.operators.concat import Concat, IoConcat
from pypeln.operators.distinct import Distinct, IoDistinct
from pypeln.operators.each import Each, IoEach
from pypeln.operators.filter import Filter, IoFilter
from pypeln.operators.flat_map import FlatMap, IoFlatMap
from pypeln.operators.from_iterable import FromIterable, IoFromIterable
from pypeln.operators.map import IoMap, Map
from pypeln.operators.ordered import IoOrdered, Ordered
from pypeln.operators.run import IoRun, Run
from pypeln.operators.to_iterable import IoToIterable, ToIterable
from pypeln.operators.unbatch import IoUnbatch, Unbatch


class FrontEnd(
    Map, Filter, FlatMap, Each, Distinct, Batch, Unbatch, Run, Concat, Ordered, FromIterable, ToIterable
):
    """The calls for processes, threads, and the consumer itself."""


class IoFrontEnd(
    IoMap,
    IoFilter,
    IoFlatMap,
    IoEach,
    IoDistinct,
    IoBatch,
    IoUnbatch,
    IoRun,
    IoConcat,
    IoOrdered,
    IoFromIterable,
    IoToIterable,
):
    """The calls for tasks."""
