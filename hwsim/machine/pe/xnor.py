"""The XNOR PE of binary networks: sixteen one-bit products and a population count."""

from __future__ import annotations

from typing import Literal

from hwsim.formats import Format, Kind
from hwsim.machine.pe.base import PE, Rate
from hwsim.machine.technology.tables import MeasuredPE, PhysicalCost, measured_cell
from hwsim.registry import register

LANES = 16


@register("pe", "xnor", citation="M. Rastegari et al., XNOR-Net, ECCV 2016, arXiv 1603.05279")
class Xnor(PE):
    """Sixteen binary products along the reduction per cycle, and nothing else.

    Both operands must be binary codes, which stand for -1 and +1. Energy and area are measured on
    sixteen lanes with their popcount and a 12-bit partial sum; the bits were random with one half
    or, for activations, one quarter of ones (no operands of a real binary network were at hand).

    >>> Xnor().rate(1, 1)
    Rate(products=16, interval=1)
    >>> Xnor().takes(Format(1), Format(1))
    False
    """

    name: Literal["xnor"] = "xnor"

    @property
    def widest(self) -> int:
        """One bit."""
        return 1

    def takes(self, a_format: Format, w_format: Format) -> bool:
        """Binary by binary."""
        return a_format.kind is Kind.BINARY and w_format.kind is Kind.BINARY

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Sixteen products per cycle."""
        self.refuse(a_bits, w_bits)
        return Rate(LANES, 1)

    @property
    def word_bits(self) -> int:
        """One weight for every lane."""
        return LANES

    def silicon(self) -> PhysicalCost:
        """All sixteen lanes."""
        return _measured().silicon

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """One lane's share."""
        self.refuse(a_bits, w_bits)
        return _measured().switching_fj


def _measured() -> MeasuredPE:
    cell = measured_cell("xnor16", 1, 1)
    assert cell is not None
    return cell
