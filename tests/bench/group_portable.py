"""The kernels for chips without the 8-bit dot product, against torch in float32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from tests.bench.child import answer, run_child
from tests.bench.group_networks import compare
from tests.bench.networks import resnet20
from tests.bench.peers import TORCH
from tests.bench.row import Row
from tests.bench.threads import use_threads


def rows() -> Iterator[Row]:
    """ResNet-20 in a process whose environment asks for the portable kernels."""
    for fields in run_child("tests.bench.group_portable", environment={"HWSIM_KERNELS": "portable"}):
        yield Row(**fields)


def main() -> None:
    """Measure with the kernels that the environment chose and print the rows."""
    use_threads()
    answer([asdict(row) for row in compare(resnet20(), "ResNet-20", 64, {TORCH: 0.7}, group="portable")])


if __name__ == "__main__":
    main()
