"""The bit-serial PE of Stripes: time instead of area for wide operands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.tables import CLOCK_FJ_PER_FLIP_FLOP, LOGIC_LEAKAGE_UW_PER_UM2, Silicon, fitted_cell
from hwsim.registry import register

PSUM_BITS = 24
"""Partial sum of the largest product, 8x8, and 8 bits more."""


@register("pe", "bit_serial", citation="P. Judd et al., Stripes: Bit-Serial Deep Neural Network Computing, MICRO 2016")
class BitSerial(PE):
    """Temporal composition: an operand wider than the PE's granularity takes several cycles.

    Steps: ceil(a / a_step) * ceil(w / w_step). The defaults are as in Stripes: activations come one
    bit per cycle, weights are parallel; `a_step = w_step = 1` is Loom's scaling (arXiv 1706.07853),
    `a_step = 8, w_step = 1` serial weights. One product at a time: Stripes makes good for the lost
    speed with more PEs, which here is a matter of the array's rows and columns.

    Energy and area: no measured row exists. Assumed: each step switches what a plain PE of
    `w_step` x `a_step` bits does by the fit, and the partial sum has 24 bits.

    >>> BitSerial().rate(5, 8)
    Rate(lanes=1, steps=5)
    """

    name: Literal["bit_serial"] = "bit_serial"
    a_step: int = Field(1, ge=1, le=WIDEST, description="activation bits per cycle")
    w_step: int = Field(8, ge=1, le=WIDEST, description="weight bits per cycle")

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """One product in as many steps as the operands have pieces."""
        self.refuse(a_bits, w_bits, WIDEST)
        return Rate(1, -(-a_bits // self.a_step) * -(-w_bits // self.w_step))

    @property
    def word_bits(self) -> int:
        """One weight of the widest kind."""
        return WIDEST

    def silicon(self) -> Silicon:
        """A plain PE of one step's width, with the partial sum of a whole product."""
        narrow = self.w_step + self.a_step + 8
        flip_flops = self.w_step + self.a_step + PSUM_BITS
        area = fitted_cell(self.w_step, self.a_step).silicon.area_um2 + 10.65 * (PSUM_BITS - narrow)
        return Silicon(area, LOGIC_LEAKAGE_UW_PER_UM2 * area, CLOCK_FJ_PER_FLIP_FLOP * flip_flops)

    def mac_fj(self, a_bits: int, w_bits: int) -> float:
        """Steps times the switching of one step."""
        return self.rate(a_bits, w_bits).steps * fitted_cell(self.w_step, self.a_step).switching_fj
