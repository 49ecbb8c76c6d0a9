"""Measure several callables fairly: in one process, in turns, and only after each returned what it must."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Call = Callable[[], Array]

SLICE_SECONDS = 0.05
"""One turn calls again and again for about this long, so that short calls are measured warm."""

PAUSE_SECONDS = 0.1
"""Between turns: idle threads of onnxruntime and of libgomp spin for tens of milliseconds, on the next one's time."""

MIN_ROUNDS = 3


def interleave(calls: Mapping[str, Call], expected: Mapping[str, Array], seconds: float = 5.0) -> dict[str, float]:
    """Median seconds of one call of each, over rounds that take turns for about `seconds` altogether.

    `expected` holds what each callable must return, computed in another way: a closure that binds
    too late would else time its neighbor. Raises AssertionError before anything is timed, and again
    when the last output is another one.
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
    """Mean seconds of a call within one turn; the turn starts with a call that does not count."""
    time.sleep(PAUSE_SECONDS)
    call()
    count = 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SLICE_SECONDS or count == 0:
        call()
        count += 1
    return elapsed / count


def require_equal(name: str, output: Array, expected: Array) -> None:
    """Integers must be equal, floats within a thousandth of the largest (threads may add in another order)."""
    if np.issubdtype(expected.dtype, np.integer):
        np.testing.assert_array_equal(output, expected, err_msg=name)
    else:
        np.testing.assert_allclose(output, expected, rtol=0, atol=1e-3 * np.abs(expected).max(), err_msg=name)
