"""The fusible PE of Bit Fusion: sixteen 2-bit bricks that combine into multipliers of 2, 4 or 8 bits."""

from __future__ import annotations

import math
from typing import Literal

from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_pe
from hwsim.registry import register

BRICKS = 16
BRICK_BITS = 2


@register("pe", "fused", citation="H. Sharma et al., Bit Fusion, ISCA 2018, arXiv 1712.01507")
class Fused(PE):
    """Spatial composition (a Fusion Unit): narrow operands give more products per cycle.

    Products along the reduction: floor(8 / up(a)) * floor(8 / up(w)), where `up` rounds a width up to
    2, 4, 8 or 16: 1 product at 8x8, 4 at 4x4, 16 at 2x2; 3 bits run as 4 and 5 to 7 bits as 8.
    Design choice: a product that needs more than the sixteen bricks takes several passes, 2 at 16x8 and
    4 at 16x16, since the published simulator ends at 8 bits.

    Energy: measured at 8x8, 4x4 and 2x2 on an unpipelined gate-level model, so an upper figure
    (Bit Fusion's own area is 0.58 of it). Design choice: between these widths the energy of one full pass is
    interpolated over the number of products (halfway at 8x4 and at 4x2; at 8x2 that of 4x4), and
    every further pass costs as much as one at 8x8.

    >>> Fused().rate(4, 2), Fused().rate(3, 5), Fused().rate(16, 16)
    (Rate(products=8, interval=1), Rate(products=2, interval=1), Rate(products=1, interval=4))
    """

    name: Literal["fused"] = "fused"

    @property
    def max_operand_bits(self) -> int:
        """16 bits, in several passes."""
        return MAX_OPERAND_BITS

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return the products per pass where several fit the bricks, else the passes per product."""
        self.require(a_bits, w_bits)
        bricks = (_composed_bits(a_bits) // BRICK_BITS) * (_composed_bits(w_bits) // BRICK_BITS)
        return Rate(max(1, BRICKS // bricks), max(1, bricks // BRICKS))

    @property
    def weight_register_bits(self) -> int:
        """Sixteen 2-bit weights."""
        return BRICKS * BRICK_BITS

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of sixteen bricks with a 32-bit partial sum."""
        return _measured(8).physical

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the energy of one pass at this number of products, divided by the products, times the passes."""
        rate = self.rate(a_bits, w_bits)
        below, above = {1: (8, 8), 2: (8, 4), 4: (4, 4), 8: (4, 2), 16: (2, 2)}[rate.products]
        return (_pass_fj(below) + _pass_fj(above)) / 2 / rate.products * rate.interval


def _composed_bits(bits: int) -> int:
    """Return the width rounded up to a power of two, at least one brick."""
    return max(BRICK_BITS, 1 << math.ceil(math.log2(bits)))


def _measured(bits: int) -> MeasuredPE:
    found = measured_pe("fuse16brick", bits, bits)
    assert found is not None
    return found


def _pass_fj(bits: int) -> float:
    """Return the energy of one pass of all bricks at `bits` x `bits`, fJ."""
    return _measured(bits).switching_fj * (8 // bits) ** 2
