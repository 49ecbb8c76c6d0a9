"""A few threads for kernels that let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_pools: dict[int, ThreadPoolExecutor] = {}


def on_threads(work: Callable[[int], None], count: int) -> None:
    """Call `work(0)` to `work(count - 1)` at once, and return when all are done; the first error is raised."""
    futures = [_pool(count).submit(work, index) for index in range(1, count)]
    work(0)
    for future in futures:
        future.result()


def _pool(count: int) -> ThreadPoolExecutor:
    """The pool of this process (a fork has none of its parent's threads), large enough for `count` workers."""
    pool = _pools.get(os.getpid())
    if pool is None or pool._max_workers < count:
        pool = _pools[os.getpid()] = ThreadPoolExecutor(max_workers=max(count, os.cpu_count() or 1))
    return pool
