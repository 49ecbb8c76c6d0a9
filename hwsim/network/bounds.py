"""The largest sums that the weights of a network allow: what proves that an accumulator cannot overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.network.graph import Network
from hwsim.network.largest_sums import layer_bound

Ints = NDArray[np.int64]


def bounds(network: Network) -> dict[str, Ints]:
    """Largest magnitude that each accumulator can reach: int64 [channel] by layer, for every layer that accumulates.

    A convolution or linear layer has `sum |w| * max |x - zero point| + |bias|`; with region precision
    each tap counts with the larger of its fine and its coarse product. A matmul has one entry, an
    average pool too.
    """
    found = {layer.name: layer_bound(layer, network.formats, network.shapes) for layer in network.layers}
    return {name: bound for name, bound in found.items() if len(bound)}


def overflow_free(network: Network) -> dict[str, bool]:
    """For every layer that accumulates: is it proved that no sum can leave its accumulator?

    >>> overflow_free(network)  # doctest: +SKIP
    {'conv1': True, 'logits': True}
    """
    proved = bounds(network)
    return {n: bool((b <= network[n].accumulator.high).all()) for n, b in proved.items()}
