"""Codes of every layer of a network, computed by the definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.debug.inputs import check_codes
from hwsim.network.graph import Network


def trace(network: Network, codes: NDArray[np.integer]) -> dict[str, NDArray[np.signedinteger]]:
    """Return the codes of every layer, [sample, *shape] by layer name, the input first, in the dtype of its format.

    >>> hwsim.trace(network, codes)["conv1"].shape  # doctest: +SKIP
    (8, 16, 28, 28)
    """
    codes_of = reference.run(network, check_codes(network, codes))
    return {name: array.astype(network.formats[name].dtype) for name, array in codes_of.items()}
