"""Slices of long work: compiled code does not hear Ctrl-C, so that it returns to Python several times a second."""

from __future__ import annotations

import time
from collections.abc import Iterator

SLICE_SECONDS = 0.25
"""Duration of a slice that `time_slices` aims at."""

MAX_GROWTH = 8
"""Size of a slice in relation to the one before, at most."""


def time_slices(count: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of consecutive slices of `count` items.

    The first slice has `first` items. The caller does the work of a slice before it asks for the next one, whose size
    follows from the time of the last one.

    >>> list(time_slices(5, 100))
    [(0, 5)]
    """
    begin, size = 0, max(1, first)
    while begin < count:
        end, start = min(begin + size, count), time.perf_counter()
        yield begin, end
        seconds = max(time.perf_counter() - start, SLICE_SECONDS / MAX_GROWTH)
        size = max(1, int((end - begin) * SLICE_SECONDS / seconds))
        begin = end
