"""Time of the first call in a new process with kernels from the disk cache."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.bench.child import print_result, run_child
from tests.bench.exact import run_ours
from tests.bench.networks import random_images, resnet20
from tests.bench.row import Row
from tests.bench.threads import use_threads

LIMIT_SECONDS = 1.0


def rows() -> Iterator[Row]:
    """Yield the row of the second of two processes; the first fills the cache."""
    run_child("tests.bench.group_startup")
    seconds = run_child("tests.bench.group_startup")
    yield Row("startup", "first execute", seconds, "limit", LIMIT_SECONDS, "s", goal=1.0, less_is_better=True)


def first_call_seconds() -> float:
    """Return the seconds of the first `execute` of this process, without imports and network construction."""
    use_threads()
    network = resnet20()
    codes = random_images(network, 1)
    start = time.perf_counter()
    run_ours(network, codes)
    return time.perf_counter() - start


if __name__ == "__main__":
    print_result(first_call_seconds())
