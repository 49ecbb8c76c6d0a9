"""Execution of a network by hwsim, compared with the reference outside the timed calls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.network.graph import Network


def exact_outputs(network: Network, codes: NDArray[np.integer], samples: int = 1) -> NDArray[np.int32]:
    """Return the outputs of `execute` after comparing the first `samples` with the (slow) reference."""
    outputs = execute(network, codes).outputs
    expected = reference.run(network, codes[:samples])[network.layers[-1].name]
    np.testing.assert_array_equal(outputs[:samples], expected.reshape(samples, -1))
    return outputs


def run_ours(network: Network, codes: NDArray[np.integer], kernels: str | None = None) -> NDArray[np.int32]:
    """Return the outputs of `execute`: the timed call."""
    return execute(network, codes, kernels).outputs
