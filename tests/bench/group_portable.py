"""Kernels for CPUs without the 8-bit dot product, against torch in float32."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hwsim.engine.execute import DEFINITION, available
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, resnet20
from tests.bench.peers import TORCH, real_inputs, torch_float32
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

BATCH = 64
NOT_PORTABLE = ("vnni", DEFINITION)


def rows() -> Iterator[Row]:
    """Yield the rows of ResNet-20 by every portable kernel, measured in turns."""
    use_threads()
    network = resnet20()
    codes = random_images(network, BATCH)
    twin = partial(torch_float32(network), real_inputs(network, codes))
    kernels = [name for name in available() if name not in NOT_PORTABLE]
    calls = {TORCH: twin} | {name: partial(run_ours, network, codes, name) for name in kernels}
    exact = exact_outputs(network, codes)
    times = interleave(calls, {TORCH: twin()} | dict.fromkeys(kernels, exact))
    for name in kernels:
        work = f"ResNet-20 batch {BATCH}, {name}"
        yield Row("portable", work, BATCH / times[name], TORCH, BATCH / times[TORCH], "images/s", goal=0.7)
