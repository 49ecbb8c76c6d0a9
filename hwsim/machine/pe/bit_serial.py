"""The bit-serial PE of Stripes: time instead of area for wide operands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.technology.tables import PSUM_BIT_UM2, PhysicalCost, assumed_cost, fitted_cell
from hwsim.registry import register


@register(
    "pe",
    "bit_serial",
    citation="P. Judd et al., Stripes: Bit-Serial Deep Neural Network Computing, MICRO 2016; "
    "S. Sharify et al., Loom, DAC 2018, arXiv 1706.07853; A. Delmas et al., Dynamic Stripes, arXiv 1706.00504",
)
class BitSerial(PE):
    """Temporal composition: an operand wider than the PE's granularity takes several cycles.

    Steps: ceil(a / a_step) * ceil(w / w_step). The defaults are as in Stripes: activations come one
    bit per cycle, weights are parallel; `a_step = w_step = 1` is Loom's scaling (arXiv 1706.07853),
    `a_step = 8, w_step = 1` serial weights. One product at a time: Stripes makes good for the lost
    speed with more PEs, which here is a matter of the array's rows and columns.

    With `dynamic_group` = g, after Dynamic Stripes, leading zeros are left out: an activation takes
    ceil(significant bits / a_step) steps of the activation side, at least one; a negative one counts
    its sign bit. Each g neighbouring rows wait for the longest of theirs. A value that needs more
    bits than its code (codes less a zero point, odd codes) takes all steps. Our reading of the
    abstract: the paper's detector could not be checked, and it is not counted in area and energy.

    Energy and area: no measured row exists. Assumed: each step switches what a plain PE of
    `w_step` x `a_step` bits does by the fit, and the partial sum has 2 max_bits + 8 bits.

    >>> BitSerial().rate(5, 8)
    Rate(products=1, interval=5)
    >>> BitSerial(dynamic_group=8).activation_cycles(8, 8, np.array([0, 1, 5, -4, 255])).tolist()
    [1, 1, 3, 3, 8]
    """

    name: Literal["bit_serial"] = "bit_serial"
    max_bits: int = Field(8, ge=1, le=WIDEST, description="width of both operands that the partial sum has room for")
    a_step: int = Field(1, ge=1, le=WIDEST, description="activation bits per cycle")
    w_step: int = Field(8, ge=1, le=WIDEST, description="weight bits per cycle")
    dynamic_group: int = Field(
        0, ge=0, le=4096, description="rows that share the steps of their longest activation; 0: all take full steps"
    )

    @property
    def widest(self) -> int:
        """What the partial sum has room for."""
        return self.max_bits

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """One product in as many steps as the operands have pieces."""
        self.refuse(a_bits, w_bits)
        return Rate(1, -(-a_bits // self.a_step) * -(-w_bits // self.w_step))

    @property
    def word_bits(self) -> int:
        """One weight of the widest kind."""
        return self.max_bits

    def silicon(self) -> PhysicalCost:
        """A plain PE of one step's width, with the partial sum of a whole product."""
        psum = 2 * self.max_bits + 8
        narrow = self.w_step + self.a_step + 8
        area = fitted_cell(self.w_step, self.a_step).silicon.area_um2 + PSUM_BIT_UM2 * (psum - narrow)
        return assumed_cost(area, self.w_step + self.a_step + psum)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Steps times the switching of one step."""
        return self.rate(a_bits, w_bits).interval * fitted_cell(self.w_step, self.a_step).switching_fj

    def variants(self) -> Iterator[PE]:
        """A wider partial sum."""
        for bits in range(self.max_bits + 1, WIDEST + 1):
            yield self.model_copy(update={"max_bits": bits})

    @property
    def value_dependent(self) -> bool:
        """With a `dynamic_group`."""
        return self.dynamic_group > 0

    @property
    def rows_per_group(self) -> int:
        """The `dynamic_group`."""
        return max(1, self.dynamic_group)

    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16] | None:
        """Steps of each activation alone with `dynamic_group`, else None; the groups share them over the rows."""
        full = self.rate(a_bits, w_bits).interval
        if not self.dynamic_group:
            return None
        pieces = np.maximum(-(-significant_bits(values) // self.a_step), 1)
        steps: NDArray[np.int64] = np.minimum(pieces * -(-w_bits // self.w_step), full)
        return steps.astype(np.uint16)


def significant_bits(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits from the first one downwards, of a negative value with its sign bit: int64, same shape.

    >>> significant_bits(np.array([0, 1, 4, -1, -2, -4, -5])).tolist()
    [0, 1, 3, 1, 2, 3, 4]
    """
    magnitude = np.where(values < 0, ~values, values)
    _, exponents = np.frexp(magnitude.astype(np.float64))  # exact: operands have at most 17 bits
    return exponents.astype(np.int64) + (values < 0)
