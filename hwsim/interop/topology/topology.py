"""Topologies: layers with their sizes and bit widths, without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from hwsim.network.product import Product

OutputSize = Literal["ceil", "floor", "padded"]
"""Rule for the output size of a convolution whose padding a file does not give.

H, k, s are the sizes of map and kernel and the stride, along one axis.

ceil : ceil((H - k) / s) + 1, as SCALE-Sim computes it; the last window may extend beyond the edge
floor : floor((H - k) / s) + 1, the convolution without padding
padded : ceil(H / s), with zeros on all sides; an odd zero is at the lower and right edge
"""

OUTPUT_SIZES: tuple[OutputSize, ...] = get_args(OutputSize)


@dataclass(frozen=True)
class Workload:
    """One layer with multiplications: its name, and the matrix product that the PE array computes."""

    name: str
    product: Product


@dataclass(frozen=True)
class Topology:
    """Layers of a network without weights and values.

    Attributes
    ----------
    name : name of the network
    layers : layers in the order of execution
    output_size : rule that was applied to layers without a given padding
    ambiguous : names of the layers whose size depends on this rule
    notes : assumptions, and parts of the file without effect, one per line
    """

    name: str
    layers: tuple[Workload, ...]
    output_size: OutputSize = "ceil"
    ambiguous: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one sample, over all layers."""
        return sum(layer.product.macs for layer in self.layers)
