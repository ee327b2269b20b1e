"""Functions that are pickled by value keep the name of their file."""

from __future__ import annotations

import pickle
import traceback

import pytest

from pypeln import by_value


def test_a_function_that_was_pickled_by_value_shows_the_line_that_raises():
    def fail() -> None:
        raise LookupError("this line")

    copy = pickle.loads(by_value.dumps(fail))
    with pytest.raises(LookupError) as caught:
        copy()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.filename == __file__
    assert last.line == 'raise LookupError("this line")'
