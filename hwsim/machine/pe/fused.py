"""The fusible PE of BitFusion: sixteen 2-bit bricks that join to multipliers as wide as needed."""

from __future__ import annotations

import math
from typing import Literal

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_cell
from hwsim.registry import register

BRICKS = 16
BRICK_BITS = 2


@register("pe", "fused", citation="H. Sharma et al., Bit Fusion, ISCA 2018, arXiv 1712.01507")
class Fused(PE):
    """Spatial composition: narrow operands give more products per cycle.

    Lanes along the reduction: floor(8 / up(a)) * floor(8 / up(w)), where `up` rounds a width up to
    2, 4, 8 or 16: 1 lane at 8x8, 4 at 4x4, 16 at 2x2; 3 bits run as 4 and 5 to 7 bits as 8. A
    product that needs more than the sixteen bricks takes several passes, 2 at 16x8 and 4 at 16x16:
    our assumption, since the published simulator ends at 8 bits.

    Energy: measured at 8x8, 4x4 and 2x2 on an unpipelined gate-level model, so an upper figure
    (BitFusion's own area is 0.58 of it). Between these the energy of one full pass is interpolated
    over the number of lanes (halfway at 8x4 and at 4x2; at 8x2 that of 4x4): our assumption, as is
    that every further pass costs as much as one at 8x8.

    >>> Fused().rate(4, 2), Fused().rate(3, 5), Fused().rate(16, 16)
    (Rate(products=8, interval=1), Rate(products=2, interval=1), Rate(products=1, interval=4))
    """

    name: Literal["fused"] = "fused"

    @property
    def widest(self) -> int:
        """16 bits, in several passes."""
        return WIDEST

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """As many lanes as the bricks give, or as many passes as one product needs."""
        self.refuse(a_bits, w_bits)
        bricks = (_up(a_bits) // BRICK_BITS) * (_up(w_bits) // BRICK_BITS)
        return Rate(max(1, BRICKS // bricks), max(1, bricks // BRICKS))

    @property
    def word_bits(self) -> int:
        """Sixteen 2-bit weights."""
        return BRICKS * BRICK_BITS

    def silicon(self) -> PhysicalCost:
        """The sixteen bricks with a 32-bit partial sum."""
        return _measured(8).silicon

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """The energy of one pass at this number of lanes, shared by its lanes, times the passes."""
        rate = self.rate(a_bits, w_bits)
        below, above = {1: (8, 8), 2: (8, 4), 4: (4, 4), 8: (4, 2), 16: (2, 2)}[rate.products]
        return (_pass_fj(below) + _pass_fj(above)) / 2 / rate.products * rate.interval


def _up(bits: int) -> int:
    return max(BRICK_BITS, 1 << math.ceil(math.log2(bits)))


def _measured(bits: int) -> MeasuredPE:
    cell = measured_cell("fuse16brick", bits, bits)
    assert cell is not None
    return cell


def _pass_fj(bits: int) -> float:
    return _measured(bits).switching_fj * (8 // bits) ** 2
