"""The plain PE: one multiplier of one width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.machine.pe.base import MAX_OPERAND_BITS, PE, ActivationTiming, Rate
from hwsim.machine.technology.tables import PhysicalCost, plain_pe, plain_psum_bits
from hwsim.registry import register


@register("pe", "fixed", citation="H. T. Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982")
class Fixed(PE, ActivationTiming):
    """One multiply-accumulate per cycle at all operand widths.

    Narrower operands are sign-extended: they reduce memory traffic, but neither cycles nor PE energy,
    which is always the energy of a `max_bits` x `max_bits` multiplier. Energy and area are measured rows
    (2, 3, 4, 8 and 16 bits) or the fit between them.

    With `skip_zeros` a zero activation takes no cycle, as in Cnvlutin (J. Albericio et al., ISCA
    2016), so that cycles depend on the data. Design choice: the zero detector and its queues are not
    counted in area and energy.

    >>> Fixed().rate(4, 4)
    Rate(products=1, interval=1)
    >>> Fixed(skip_zeros=True).activation_cycles(8, 8, np.array([0, 3, -1])).tolist()
    [0, 1, 1]
    """

    name: Literal["fixed"] = "fixed"
    max_bits: int = Field(8, ge=2, le=MAX_OPERAND_BITS, description="width of both operands of the multiplier")
    skip_zeros: bool = Field(False, description="a zero activation takes no cycle")

    @property
    def max_operand_bits(self) -> int:
        """Width of the multiplier."""
        return self.max_bits

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return one product per cycle."""
        self.require(a_bits, w_bits)
        return Rate(1, 1)

    @property
    def weight_register_bits(self) -> int:
        """One weight."""
        return self.max_bits

    def physical_cost(self) -> PhysicalCost:
        """Return the cost of the plain PE with a partial sum of 2 max_bits + 8 bits."""
        return plain_pe(self.max_bits, self.max_bits).physical

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the energy of the full multiplier at all supported widths."""
        self.require(a_bits, w_bits)
        return plain_pe(self.max_bits, self.max_bits).switching_fj

    def variants(self) -> Iterator[PE]:
        """Yield PEs with wider multipliers."""
        for bits in range(self.max_bits + 1, MAX_OPERAND_BITS + 1):
            yield self.model_copy(update={"max_bits": bits})

    @property
    def value_timing(self) -> ActivationTiming | None:
        """Zero skipping, where `skip_zeros` is set."""
        return self if self.skip_zeros else None

    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return 1 cycle per activation; 0 for zeros with `skip_zeros`."""
        self.require(a_bits, w_bits)
        cycles = values != 0 if self.skip_zeros else np.ones(values.shape, dtype=np.bool_)
        return cycles.astype(np.uint16)

    def baseline_widths(self, a_bits: int, w_bits: int) -> tuple[int, int, int]:
        """Return the widths of this multiplier, with a partial sum of 2 max_bits + 8 bits."""
        self.require(a_bits, w_bits)
        return self.max_bits, self.max_bits, plain_psum_bits(self.max_bits, self.max_bits)
