"""Peak memory of a run beyond the network, of hwsim and torch, each in its own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench.child import print_result, run_child
from tests.bench.exact import run_ours
from tests.bench.networks import random_images, resnet18
from tests.bench.peers import TORCH, real_inputs, torch_float32
from tests.bench.row import Row
from tests.bench.threads import use_threads

BATCH = 64
RUNS = 3
MIB = 1 << 20


def rows() -> Iterator[Row]:
    """Yield the row of ResNet-18: hwsim may take 1.5 times the memory of torch."""
    ours, torch = (run_child("tests.bench.group_memory", side) / MIB for side in ("ours", "torch"))
    work = f"ResNet-18 batch {BATCH}, peak"
    yield Row("memory", work, ours, TORCH, torch, "MiB", goal=0.67, less_is_better=True)


def growth(call: Callable[[], object]) -> int:
    """Return the difference between the peak memory of a few calls and the resident memory before them, in bytes."""
    reset_peak()
    before = peak_bytes()
    for _ in range(RUNS):
        call()
    return peak_bytes() - before


def peak_bytes() -> int:
    """Return the largest resident memory of this process so far, in bytes (Linux).

    `getrusage(...).ru_maxrss` is not usable: a child inherits it from its parent across exec.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def reset_peak() -> None:
    """Reset the peak to the resident memory, so that building the network does not count."""
    Path("/proc/self/clear_refs").write_text("5")


def main(side: str) -> None:
    """Measure hwsim ("ours") or torch and print the bytes."""
    use_threads()
    network = resnet18()
    codes = random_images(network, BATCH)
    if side == "ours":
        call = partial(run_ours, network, codes)
    else:
        call = partial(torch_float32(network), real_inputs(network, codes))
    print_result(growth(call))


if __name__ == "__main__":
    main(sys.argv[1])
