"""Buffers that are reused from run to run: fresh pages cost more time than a small network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import on_clear

MAX_BYTES = 1 << 26
"""Bytes that the pool stores at most while no buffer is lent."""

Buffer = NDArray[np.uint8]


class BufferPool:
    """Unused uint8 buffers of at most `max_bytes` in total."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._lock = Lock()
        self._unused: list[Buffer] = []

    @contextmanager
    def lend(self, count: int, size: int) -> Iterator[list[Buffer]]:
        """Lend `count` arrays of `size` bytes with undefined contents for the duration of a `with` block.

        After an error they do not return to the pool: a thread that has not heard of it may still write to them.

        >>> with BufferPool(1000).lend(2, 100) as (a, b):
        ...     len(a), len(b)
        (100, 100)
        """
        buffers = [self._take(size) for _ in range(count)]
        yield [buffer[:size] for buffer in buffers]
        with self._lock:
            for buffer in buffers:
                if sum(map(len, self._unused)) + len(buffer) <= self.max_bytes:
                    self._unused.append(buffer)

    def _take(self, size: int) -> Buffer:
        with self._lock:
            for index, buffer in enumerate(self._unused):
                if len(buffer) >= size:
                    return self._unused.pop(index)
        return np.empty(size, dtype=np.uint8)

    def clear(self) -> None:
        """Drop all unused buffers."""
        with self._lock:
            self._unused.clear()


BUFFERS = BufferPool(MAX_BYTES)
"""The pool of this process."""

on_clear(BUFFERS.clear)
