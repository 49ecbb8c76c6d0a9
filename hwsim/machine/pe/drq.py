"""The variable-speed PE for dynamic region precision, in the manner of DRQ."""

from __future__ import annotations

from typing import ClassVar, Literal

from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_cell
from hwsim.registry import register

NATIVE = 4
MEASURED = 8


@register("pe", "drq", citation="Z. Song et al., DRQ: Dynamic Region-based Quantization, ISCA 2020")
class Drq(PE):
    """A 4-bit multiplier that takes ceil(a/4) * ceil(w/4) cycles: 4 for 8x8, 1 for 4x4.

    The widths may change from one product to the next, so it runs layers with region precision.
    It is our own reading of the published idea: the paper's PE could not be checked.

    Energy: measured at 8x8 and 4x4 on an unpipelined gate-level model without clock gating, so an
    upper figure. At 8x4 and 4x8 the energy per step is taken halfway: our assumption.

    >>> Drq().rate(8, 8), Drq().rate(4, 4)
    (Rate(products=1, interval=4), Rate(products=1, interval=1))
    """

    name: Literal["drq"] = "drq"
    regions: ClassVar[bool] = True

    @property
    def widest(self) -> int:
        """8 bits, as measured."""
        return MEASURED

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """One product in one, two or four steps."""
        self.refuse(a_bits, w_bits)
        return Rate(1, -(-a_bits // NATIVE) * -(-w_bits // NATIVE))

    @property
    def word_bits(self) -> int:
        """A full weight and its low twin."""
        return MEASURED + NATIVE

    def silicon(self) -> PhysicalCost:
        """The 4-bit serial PE with a 24-bit accumulator."""
        return _measured(4).silicon

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Steps times the switching of one step."""
        steps = self.rate(a_bits, w_bits).interval
        narrow, wide = _measured(4).switching_fj, _measured(8).switching_fj / 4
        return {1: narrow, 2: narrow + wide, 4: 4 * wide}[steps]


def _measured(bits: int) -> MeasuredPE:
    cell = measured_cell("drq_4b_serial", bits, bits)
    assert cell is not None
    return cell
