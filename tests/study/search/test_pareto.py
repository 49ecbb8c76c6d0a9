from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.study.search.pareto import front

number = st.sampled_from([0.0, 1.0, 2.0, 3.0, math.inf, -math.inf, math.nan])


def brute_force(values, directions):
    """Definition of the front in plain Python."""

    def better(a, b, direction):
        return a > b if direction == "max" else a < b

    def dominates(a, b):
        if any(map(math.isnan, a)):
            return False
        pairs = list(zip(a, b, directions, strict=True))
        return not any(better(y, x, s) for x, y, s in pairs) and any(better(x, y, s) for x, y, s in pairs)

    return [not any(map(math.isnan, b)) and not any(dominates(a, b) for a in values) for b in values]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_front_equals_the_definition(data):
    directions = data.draw(st.lists(st.sampled_from(["max", "min"]), min_size=1, max_size=4))
    values = data.draw(st.lists(st.tuples(*[number] * len(directions)), max_size=12))
    array = np.array(values, dtype=np.float64).reshape(len(values), len(directions))
    assert front(array, directions).tolist() == brute_force(values, directions)


def test_equal_points_stay_together():
    assert front(np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]]), ["max", "min"]).tolist() == [True, True, False]


def test_directions_must_fit():
    with pytest.raises(BadInput, match="directions"):
        front(np.zeros((3, 2)), ["max"])
    with pytest.raises(BadInput, match="directions"):
        front(np.zeros((3, 1)), ["up"])
