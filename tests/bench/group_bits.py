"""Other widths of weights and activations, against hwsim's 8 bits on the same graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from hwsim.errors import HwsimError
from hwsim.network.graph import Network
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, resnet20, unpadded_cnn
from tests.bench.row import UNKNOWN, Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

BATCH = 64
PLAIN = "our int8"

GOALS: Mapping[str, tuple[Callable[[], Network], float]] = {
    "4 bits": (partial(resnet20, w_bits=4, a_bits=4), 1.0),
    "2 bits": (partial(resnet20, w_bits=2, a_bits=2), 1.0),
    "16 bits": (partial(resnet20, w_bits=16, a_bits=16), 0.25),
    "binary weights": (partial(resnet20, w_bits=1, a_bits=8), 1.0),
    "DRQ 8/4 bits": (partial(resnet20, regions=True), 0.5),
}


def rows() -> Iterator[Row]:
    """Yield the rows of ResNet-20 at every width, measured in turns; an unsupported width has no rate."""
    use_threads()
    networks = {PLAIN: resnet20()}
    for name, (build, _) in GOALS.items():
        try:
            networks[name] = build()
        except HwsimError as error:
            print(f"    {name}: {error}")
    codes = {name: random_images(network, BATCH) for name, network in networks.items()}
    expected = {name: exact_outputs(network, codes[name]) for name, network in networks.items()}
    calls = {name: partial(run_ours, network, codes[name]) for name, network in networks.items()}
    times = interleave(calls, expected, seconds=10.0)
    rate = {name: BATCH / value for name, value in times.items()}
    for name, (_, goal) in GOALS.items():
        work = f"ResNet-20 {name}"
        yield Row("bits", work, rate.get(name, UNKNOWN), PLAIN, rate[PLAIN], "images/s", goal)
    yield from binary_rows()


def binary_rows() -> Iterator[Row]:
    """Yield the rows of binary networks (XNOR and popcount), against 8 bits on the same graph."""
    networks = {name: unpadded_cnn(name == "binary") for name in ("binary", PLAIN)}
    codes = {name: random_images(network, BATCH) for name, network in networks.items()}
    expected = {name: exact_outputs(network, codes[name]) for name, network in networks.items()}
    times = interleave({name: partial(run_ours, networks[name], codes[name]) for name in networks}, expected)
    rate = {name: BATCH / value for name, value in times.items()}
    yield Row("bits", "4 conv 3x3x128 binary, XNOR", rate["binary"], PLAIN, rate[PLAIN], "images/s", 1.0)
