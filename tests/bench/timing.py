"""Timing of several callables in one process, in turns, after comparing their outputs with expected outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Call = Callable[[], Array]

SLICE_SECONDS = 0.05
"""Duration of one turn of repeated calls, so that short calls are measured warm."""

PAUSE_SECONDS = 0.1
"""Pause between turns: idle threads of onnxruntime and of libgomp spin for tens of milliseconds."""

MIN_ROUNDS = 3


def interleave(calls: Mapping[str, Call], expected: Mapping[str, Array], seconds: float = 5.0) -> dict[str, float]:
    """Return the median seconds of one call of each callable, in alternating turns for about `seconds` in total.

    `expected` has the required output of each callable, computed in another way, which detects closures
    that bind a wrong variable. Raises AssertionError for another output, before and after the timing.
    """
    assert calls.keys() == expected.keys(), f"{sorted(calls)} are timed, outputs are known for {sorted(expected)}"
    for name, call in calls.items():
        require_equal(name, call(), expected[name])
    turns: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds
    done = 0
    while done < MIN_ROUNDS or time.perf_counter() < end:
        for name, call in calls.items():
            turns[name].append(time_turn(call))
        done += 1
    for name, call in calls.items():
        require_equal(name, call(), expected[name])
    return {name: median(values) for name, values in turns.items()}


def time_turn(call: Call) -> float:
    """Return the mean seconds of a call in one turn, after one call that is not timed."""
    time.sleep(PAUSE_SECONDS)
    call()
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SLICE_SECONDS or count == 0:
        call()
        count += 1
    return elapsed / count


def require_equal(name: str, output: Array, expected: Array) -> None:
    """Raise AssertionError unless integers are equal and floats agree within a thousandth of the largest value."""
    if np.issubdtype(expected.dtype, np.integer):
        np.testing.assert_array_equal(output, expected, err_msg=name)
    else:
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-3 * np.abs(expected).max(), err_msg=name)
