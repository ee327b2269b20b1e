# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Dates, times and spans of time as a few bytes, and back.

Importing this module imports datetime, so that only processes that have dates do; it fills in
`decoder.date_calls`. Exact types only, and of time zones none and UTC: whatever else there is, pickle knows.
"""
from cpython.datetime cimport (
    PyDate_CheckExact, PyDateTime_CheckExact, PyDelta_CheckExact, PyTime_CheckExact, date_day, date_month,
    date_new, date_year, datetime_day, datetime_fold, datetime_hour, datetime_microsecond, datetime_minute,
    datetime_month, datetime_new, datetime_second, datetime_tzinfo, datetime_year, get_utc, import_datetime,
    time_fold, time_hour, time_microsecond, time_minute, time_new, time_second, time_tzinfo, timedelta_days,
    timedelta_microseconds, timedelta_new, timedelta_seconds,
)
from cpython.object cimport PyObject
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from pypeln._core.c cimport store64
from pypeln._core.decoder cimport date_calls
from pypeln._core.payload cimport *

import_datetime()

cdef enum:
    FOLD = 1  # flags of a Moment
    UTC = 2

cdef struct Moment:
    int32_t microsecond
    short year
    unsigned char month, day, hour, minute, second, flags

cdef struct Span:
    int32_t days, seconds, microseconds

assert sizeof(Moment) == sizeof(Span) == DATE_BYTES


cdef size_t put(PyObject *pointer, unsigned char *room) except? 0:
    """Write tag and bytes of one of these; 0 when it is none of them."""
    cdef object value = <object>pointer
    cdef Moment moment
    cdef Span span
    if PyDelta_CheckExact(value):
        span = Span(timedelta_days(value), timedelta_seconds(value), timedelta_microseconds(value))
        room[0] = T_TIMEDELTA
        memcpy(room + 1, &span, DATE_BYTES)
        return 1 + DATE_BYTES
    memset(&moment, 0, DATE_BYTES)
    if PyDateTime_CheckExact(value):
        room[0] = T_DATETIME
        zone = datetime_tzinfo(value)
        moment = Moment(
            datetime_microsecond(value), datetime_year(value), datetime_month(value), datetime_day(value),
            datetime_hour(value), datetime_minute(value), datetime_second(value),
            FOLD if datetime_fold(value) else 0)
    elif PyTime_CheckExact(value):
        room[0] = T_TIME
        zone = time_tzinfo(value)
        moment = Moment(
            time_microsecond(value), 0, 0, 0, time_hour(value), time_minute(value), time_second(value),
            FOLD if time_fold(value) else 0)
    elif PyDate_CheckExact(value):
        room[0] = T_DATE
        zone = None
        moment.year, moment.month, moment.day = date_year(value), date_month(value), date_day(value)
    else:
        return 0
    if zone is get_utc():
        moment.flags |= UTC
    elif zone is not None:
        return 0
    memcpy(room + 1, &moment, DATE_BYTES)
    return 1 + DATE_BYTES


cdef object get(unsigned char tag, const unsigned char *source):
    """What `put` wrote behind a tag. Raises ValueError or OverflowError when that is no such moment."""
    cdef Moment moment
    cdef Span span
    if tag == T_TIMEDELTA:
        memcpy(&span, source, DATE_BYTES)
        return timedelta_new(span.days, span.seconds, span.microseconds)
    memcpy(&moment, source, DATE_BYTES)
    if tag == T_DATE:
        return date_new(moment.year, moment.month, moment.day)
    zone = get_utc() if moment.flags & UTC else None
    if tag == T_TIME:
        return time_new(
            moment.hour, moment.minute, moment.second, moment.microsecond, zone, moment.flags & FOLD)
    return datetime_new(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, moment.microsecond,
        zone, moment.flags & FOLD)


date_calls.put = put
date_calls.get = get
store64(&date_calls.known, 1)  # last: from now on others call the rest
