"""The table-driven PE of UNPU: weights bit-serial through lookup tables, at published rates."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, Rate
from hwsim.machine.technology.tables import (
    PSUM_BIT_UM2,
    PhysicalCost,
    assumed_cost,
    fitted_pe,
    plain_pe,
    plain_psum_bits,
    rate_points,
)
from hwsim.registry import register

A_BITS = 16
LANES = 4
PSUM_BITS = 40
SAVING = {1: 0.536, 4: 0.41, 8: 0.272, 16: 0.231}
"""Published energy saving against a fixed-point MAC array, by weight bits."""


@register("pe", "unpu", citation="J. Lee et al., UNPU, IEEE JSSC 54(1), 2019, doi 10.1109/JSSC.2018.2865489")
class Unpu(PE):
    """Serial weights of 1 to 16 bits by parallel activations of 16, at the rates of a table.

    The points are rows of `accel_models/technology/throughput.csv`. Published are 345.6 GOPS at 16-bit
    and 7372 at 1-bit weights: a ratio of 21.3, so 16 / w does not describe it. The table has 3
    products in 16 cycles at 16 bits and 4 per cycle at 1 bit; widths between are one weight bit per
    cycle, assumed. Operands between two points of the table run as the nearest wider point, so
    activations narrower than 16 bits save no time.

    Energy: a plain PE of w x 16 bits, clock included, less the published saving at 16, 8, 4
    or 1 bit (the nearest wider one), when the PE is busy. Assumed are its share of clock (the plain 16x16
    PE's, less the saving) and its area (four 1x16 multipliers by the fit and one 40-bit partial
    sum; the lookup tables are not known).

    >>> Unpu().rate(8, 16), Unpu().rate(8, 1)
    (Rate(products=3, interval=16), Rate(products=4, interval=1))
    """

    name: Literal["unpu"] = "unpu"

    @property
    def max_operand_bits(self) -> int:
        """Widest operands of the table."""
        return MAX_OPERAND_BITS

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return the fastest point of the table with both operands at least this wide."""
        self.require(a_bits, w_bits)
        wider = [point for (a, w), point in rate_points("unpu").items() if a >= a_bits and w >= w_bits]
        return Rate(*max(wider, key=lambda point: Fraction(*point)))

    @property
    def weight_register_bits(self) -> int:
        """Three weights of 16 bits."""
        return 3 * MAX_OPERAND_BITS

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of four fitted 1x16 multipliers and one partial sum, with the clock of the saving."""
        lane = fitted_pe(1, A_BITS).physical.area_um2 - PSUM_BIT_UM2 * plain_psum_bits(1, A_BITS)
        area = LANES * lane + PSUM_BIT_UM2 * PSUM_BITS
        rate = self.rate(A_BITS, MAX_OPERAND_BITS)
        plain_clock = plain_pe(MAX_OPERAND_BITS, A_BITS).physical.clock_fj
        clock = plain_clock * (1 - SAVING[MAX_OPERAND_BITS]) * rate.products / rate.interval
        return PhysicalCost(area, assumed_cost(area, 0).leakage_uw, clock)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the plain PE's energy less the saving and less the clock energy of the product's cycles."""
        rate = self.rate(a_bits, w_bits)
        plain = plain_pe(w_bits, A_BITS)
        saving = SAVING[min(bits for bits in SAVING if bits >= w_bits)]
        busy = (plain.switching_fj + plain.physical.clock_fj) * (1 - saving)
        return busy - self.physical_cost().clock_fj * rate.interval / rate.products
