"""Many small networks on the same images, as an audit runs them, against one run after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.execute import execute
from hwsim.network.graph import Network
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, small_cnn
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

NETWORKS, IMAGES = 64, 256


def rows() -> Iterator[Row]:
    """All networks at once against a plain loop."""
    use_threads()
    networks = [small_cnn(seed) for seed in range(NETWORKS)]
    codes = random_images(networks[0], IMAGES)
    expected = np.stack([exact_outputs(network, codes) for network in networks])
    calls = {"ours": partial(our_ensemble, networks, codes), "single": partial(single_runs, networks, codes)}
    times = interleave(calls, dict.fromkeys(calls, expected))
    rate = {name: NETWORKS * IMAGES / value for name, value in times.items()}
    work = f"{NETWORKS} small CNNs, {IMAGES} images"
    yield Row("ensemble", work, rate["ours"], f"{NETWORKS} single runs", rate["single"], "images/s", goal=1.0)


def our_ensemble(networks: Sequence[Network], codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """Outputs [network, sample, class] of all networks, as an audit calls them: there is no dearer or cheaper way."""
    return np.stack([execute(network, codes).outputs for network in networks])


def single_runs(networks: Sequence[Network], codes: NDArray[np.integer]) -> NDArray[np.int32]:
    """The same outputs, one `execute` per network."""
    return np.stack([run_ours(network, codes) for network in networks])
