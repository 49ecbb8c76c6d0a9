"""Memory for the maps of a run, kept from one run to the next: fresh pages cost more than a small network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
from numpy.typing import NDArray

KEPT_BYTES = 1 << 26
"""Most bytes that are kept while nobody uses them."""

Arena = NDArray[np.uint8]

_lock = Lock()
_kept: list[Arena] = []


@contextmanager
def arenas(count: int, size: int) -> Iterator[list[Arena]]:
    """Lend `count` arrays of `size` bytes, of any content, for the time of a `with` block.

    >>> with arenas(2, 100) as (a, b):
    ...     len(a), len(b)
    (100, 100)
    """
    lent = [_take(size) for _ in range(count)]
    try:
        yield [array[:size] for array in lent]
    finally:
        with _lock:
            for array in lent:
                if sum(map(len, _kept)) + len(array) <= KEPT_BYTES:
                    _kept.append(array)


def _take(size: int) -> Arena:
    with _lock:
        for index, array in enumerate(_kept):
            if len(array) >= size:
                return _kept.pop(index)
    return np.empty(size, dtype=np.uint8)
