"""The plain PE: one multiplier of one width."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.tables import Silicon, plain_cell
from hwsim.registry import register


@register("pe", "fixed", citation="H. T. Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982")
class Fixed(PE):
    """One multiply-accumulate per cycle, whatever the operand widths.

    Narrower operands are sign-extended: they save memory traffic, but neither cycles nor PE energy,
    which is always that of a `max_bits` x `max_bits` multiplier. Energy and area are measured rows
    (2, 3, 4 and 8 bits) or the fit between them.

    >>> Fixed().rate(4, 4)
    Rate(lanes=1, steps=1)
    """

    name: Literal["fixed"] = "fixed"
    max_bits: int = Field(8, ge=2, le=WIDEST, description="width of both operands of the multiplier")

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Always one product per cycle."""
        self.refuse(a_bits, w_bits, self.max_bits)
        return Rate(1, 1)

    @property
    def word_bits(self) -> int:
        """One weight."""
        return self.max_bits

    def silicon(self) -> Silicon:
        """The plain PE with a partial sum of 2 max_bits + 8 bits."""
        return plain_cell(self.max_bits, self.max_bits).silicon

    def mac_fj(self, a_bits: int, w_bits: int) -> float:
        """The same for all widths that fit."""
        self.refuse(a_bits, w_bits, self.max_bits)
        return plain_cell(self.max_bits, self.max_bits).switching_fj
