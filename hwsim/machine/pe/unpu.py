"""The table-driven PE of UNPU: weights bit-serial through lookup tables, at published rates."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.technology.tables import (
    PSUM_BIT_UM2,
    PhysicalCost,
    assumed_cost,
    fitted_cell,
    plain_cell,
    rate_points,
)
from hwsim.registry import register

A_BITS = 16
LANES = 4
PSUM_BITS = 40
SAVING = {1: 0.536, 4: 0.41, 8: 0.272, 16: 0.231}
"""Published energy that the PE saves against a fixed-point MAC array, by weight bits."""


@register("pe", "unpu", citation="J. Lee et al., UNPU, IEEE JSSC 54(1), 2019, doi 10.1109/JSSC.2018.2865489")
class Unpu(PE):
    """Serial weights of 1 to 16 bits by parallel activations of 16, at the rates of a table.

    `accel_models/technology/throughput.csv` holds the points. Published are 345.6 GOPS at 16-bit
    and 7372 at 1-bit weights: a ratio of 21.3, so 16 / w does not describe it. The table has 3
    products in 16 cycles at 16 bits and 4 per cycle at 1 bit; widths between are one weight bit per
    cycle, assumed. Operands between two points of the table run as the nearest wider point, so
    activations narrower than 16 bits save no time.

    Energy: that of a plain PE of w x 16 bits, clock included, less the published saving at 16, 8, 4
    or 1 bit (the nearest wider one), when the PE is busy. Its share of clock (what the plain 16x16
    PE has, less the saving) and its area (four 1x16 multipliers by the fit and one 40-bit partial
    sum; the lookup tables are not known) are assumed.

    >>> Unpu().rate(8, 16), Unpu().rate(8, 1)
    (Rate(products=3, interval=16), Rate(products=4, interval=1))
    """

    name: Literal["unpu"] = "unpu"

    @property
    def widest(self) -> int:
        """What the table goes up to."""
        return WIDEST

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """The fastest point of the table with both operands at least this wide."""
        self.refuse(a_bits, w_bits)
        wider = [point for (a, w), point in rate_points("unpu").items() if a >= a_bits and w >= w_bits]
        return Rate(*max(wider, key=lambda point: Fraction(*point)))

    @property
    def word_bits(self) -> int:
        """Three weights of 16 bits."""
        return 3 * WIDEST

    def silicon(self) -> PhysicalCost:
        """Four 1x16 multipliers by the fit and one partial sum; the clock share that the energies imply."""
        lane = fitted_cell(1, A_BITS).silicon.area_um2 - PSUM_BIT_UM2 * (1 + A_BITS + 8)
        area = LANES * lane + PSUM_BIT_UM2 * PSUM_BITS
        rate = self.rate(A_BITS, WIDEST)
        clock = plain_cell(WIDEST, A_BITS).silicon.clock_fj * (1 - SAVING[WIDEST]) * rate.products / rate.interval
        return PhysicalCost(area, assumed_cost(area, 0).leakage_uw, clock)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """The plain PE's energy less the saving and less the clock that the cycles of the product cost."""
        rate = self.rate(a_bits, w_bits)
        plain = plain_cell(w_bits, A_BITS)
        saving = SAVING[min(bits for bits in SAVING if bits >= w_bits)]
        busy = (plain.switching_fj + plain.silicon.clock_fj) * (1 - saving)
        return busy - self.silicon().clock_fj * rate.interval / rate.products
