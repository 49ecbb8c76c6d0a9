"""The XNOR PE of binary networks: sixteen one-bit products and a population count."""

from __future__ import annotations

from typing import Literal

from hwsim.formats import Format, Kind
from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_pe
from hwsim.registry import register

LANES = 16


@register("pe", "xnor", citation="M. Rastegari et al., XNOR-Net, ECCV 2016, arXiv 1603.05279")
class Xnor(PE):
    """Sixteen binary products along the reduction per cycle.

    Both operands must be binary (bipolar) codes, with the values -1 and +1. Energy and area are measured on
    sixteen lanes with their popcount and a 12-bit partial sum, with random bits of which one half
    or, for activations, one quarter were ones.

    >>> Xnor().rate(1, 1)
    Rate(products=16, interval=1)
    >>> Xnor().supports(Format(1), Format(1))
    False
    """

    name: Literal["xnor"] = "xnor"

    @property
    def max_operand_bits(self) -> int:
        """One bit."""
        return 1

    def supports(self, a_format: Format, w_format: Format) -> bool:
        """Return whether both formats are binary."""
        return a_format.kind is Kind.BINARY and w_format.kind is Kind.BINARY

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return sixteen products per cycle."""
        self.require(a_bits, w_bits)
        return Rate(LANES, 1)

    @property
    def weight_register_bits(self) -> int:
        """One weight for each lane."""
        return LANES

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of all sixteen lanes."""
        return _measured().physical

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return one lane's share of the energy."""
        self.require(a_bits, w_bits)
        return _measured().switching_fj


def _measured() -> MeasuredPE:
    found = measured_pe("xnor16", 1, 1)
    assert found is not None
    return found
