"""The bit-serial PE of Stripes: wide operands take more cycles instead of more area."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.arithmetic import ceil_div
from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, ActivationTiming, Rate
from hwsim.machine.technology.tables import PSUM_BIT_UM2, PhysicalCost, assumed_cost, fitted_pe, plain_psum_bits
from hwsim.registry import register


@register(
    "pe",
    "bit_serial",
    citation="P. Judd et al., Stripes: Bit-Serial Deep Neural Network Computing, MICRO 2016; "
    "S. Sharify et al., Loom, DAC 2018, arXiv 1706.07853; A. Delmas et al., Dynamic Stripes, arXiv 1706.00504",
)
class BitSerial(PE, ActivationTiming):
    """Temporal composition: an operand wider than the PE's granularity takes several cycles.

    Cycles: ceil(a / a_step) * ceil(w / w_step). The defaults are as in Stripes: activations arrive one
    bit per cycle, weights are parallel; `a_step = w_step = 1` is Loom's scaling (arXiv 1706.07853),
    `a_step = 8, w_step = 1` serial weights. A PE computes one product at a time. Stripes compensates
    with more PEs, which is set here by the array's rows and columns.

    With `dynamic_group` = g, after Dynamic Stripes, leading zeros are skipped: an activation takes
    ceil(significant bits / a_step) cycles of the activation side, at least one; a negative one counts
    its sign bit. Each group of g neighboring rows takes the cycles of its longest activation. A value that
    needs more bits than its code (codes less a zero point, midrise codes) takes all cycles.

    Energy and area are assumed, since no measured row exists: each cycle switches as much as a plain PE of
    `w_step` x `a_step` bits by the fit, and the partial sum has 2 max_bits + 8 bits.

    Design choice: `dynamic_group` follows the abstract of Dynamic Stripes, and its leading-zero detector is
    not counted in area and energy.

    >>> BitSerial().rate(5, 8)
    Rate(products=1, interval=5)
    >>> BitSerial(dynamic_group=8).activation_cycles(8, 8, np.array([0, 1, 5, -4, 255])).tolist()
    [1, 1, 3, 3, 8]
    """

    name: Literal["bit_serial"] = "bit_serial"
    max_bits: int = Field(
        8, ge=1, le=MAX_OPERAND_BITS, description="largest width of both operands, which sets the partial sum's width"
    )
    a_step: int = Field(1, ge=1, le=MAX_OPERAND_BITS, description="activation bits per cycle")
    w_step: int = Field(8, ge=1, le=MAX_OPERAND_BITS, description="weight bits per cycle")
    dynamic_group: int = Field(
        0,
        ge=0,
        le=4096,
        description="rows that share the cycles of their longest activation; 0: no leading zeros are skipped",
    )

    @property
    def max_operand_bits(self) -> int:
        """Width that the partial sum is made for."""
        return self.max_bits

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product in ceil(a / a_step) * ceil(w / w_step) cycles."""
        self.require(a_bits, w_bits)
        return Rate(1, ceil_div(a_bits, self.a_step) * ceil_div(w_bits, self.w_step))

    @property
    def weight_register_bits(self) -> int:
        """One weight of `max_bits` bits."""
        return self.max_bits

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of a plain PE of one cycle's width, with the partial sum of a whole product."""
        psum = plain_psum_bits(self.max_bits, self.max_bits)
        narrow = plain_psum_bits(self.w_step, self.a_step)
        area = fitted_pe(self.w_step, self.a_step).physical.area_um2 + PSUM_BIT_UM2 * (psum - narrow)
        return assumed_cost(area, self.w_step + self.a_step + psum)

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the cycles times the switching energy of one cycle."""
        return self.rate(a_bits, w_bits).interval * fitted_pe(self.w_step, self.a_step).switching_fj

    def variants(self) -> Iterator[PE]:
        """Yield PEs with wider partial sums."""
        for bits in range(self.max_bits + 1, MAX_OPERAND_BITS + 1):
            yield self.model_copy(update={"max_bits": bits})

    @property
    def value_timing(self) -> ActivationTiming | None:
        """Leading-zero skipping, where `dynamic_group` is set."""
        return self if self.dynamic_group else None

    @property
    def rows_per_group(self) -> int:
        """`dynamic_group`, at least 1."""
        return max(1, self.dynamic_group)

    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return the cycles of each activation by its significant bits; all of `rate` without `dynamic_group`."""
        full = self.rate(a_bits, w_bits).interval
        if not self.dynamic_group:
            return np.full(values.shape, full, dtype=np.uint16)
        a_cycles = np.maximum(ceil_div(significant_bits(values), self.a_step), 1)
        cycles: NDArray[np.int64] = np.minimum(a_cycles * ceil_div(w_bits, self.w_step), full)
        return cycles.astype(np.uint16)


def significant_bits(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits from the most significant one down, of a negative value with its sign bit: int64, same shape.

    >>> significant_bits(np.array([0, 1, 4, -1, -2, -4, -5])).tolist()
    [0, 1, 3, 1, 2, 3, 4]
    """
    magnitude = np.where(values < 0, ~values, values)
    _, exponents = np.frexp(magnitude.astype(np.float64))  # exact: operands have at most 17 bits
    return exponents.astype(np.int64) + (values < 0)
