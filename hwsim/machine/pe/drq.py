"""The variable-speed PE for dynamic region precision, after DRQ."""

from __future__ import annotations

from typing import ClassVar, Literal

from hwsim.arithmetic import ceil_div
from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_pe
from hwsim.registry import register

NATIVE_BITS = 4
MAX_BITS = 8


@register("pe", "drq", citation="Z. Song et al., DRQ: Dynamic Region-based Quantization, ISCA 2020")
class Drq(PE):
    """A 4-bit multiplier that takes ceil(a/4) * ceil(w/4) cycles: 4 for 8x8, 1 for 4x4.

    The widths may change from one product to the next, so it runs layers with region precision.

    Energy: measured at 8x8 and 4x4 on an unpipelined gate-level model without clock gating, so an
    upper figure.

    Design choice: the circuit is hwsim's own, after the published idea. At 8x4 and 4x8 the energy per cycle
    is the mean of its values at 8x8 and 4x4.

    >>> Drq().rate(8, 8), Drq().rate(4, 4)
    (Rate(products=1, interval=4), Rate(products=1, interval=1))
    """

    name: Literal["drq"] = "drq"
    regions: ClassVar[bool] = True

    @property
    def max_operand_bits(self) -> int:
        """8 bits, as measured."""
        return MAX_BITS

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product in one, two or four cycles."""
        self.require(a_bits, w_bits)
        return Rate(1, ceil_div(a_bits, NATIVE_BITS) * ceil_div(w_bits, NATIVE_BITS))

    @property
    def weight_register_bits(self) -> int:
        """The weight at full width and the weight at low width."""
        return MAX_BITS + NATIVE_BITS

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of the 4-bit serial PE with a 24-bit accumulator."""
        return _measured(4).physical

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the cycles times the switching energy of one cycle."""
        cycles = self.rate(a_bits, w_bits).interval
        narrow, wide = _measured(4).switching_fj, _measured(8).switching_fj / 4
        return {1: narrow, 2: narrow + wide, 4: 4 * wide}[cycles]


def _measured(bits: int) -> MeasuredPE:
    found = measured_pe("drq_4b_serial", bits, bits)
    assert found is not None
    return found
