"""The plain PE: one multiplier of one width."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.machine.pe.base import PE, WIDEST, Rate
from hwsim.machine.technology.tables import PhysicalCost, plain_cell
from hwsim.registry import register


@register("pe", "fixed", citation="H. T. Kung, Why Systolic Architectures?, IEEE Computer 15(1), 1982")
class Fixed(PE):
    """One multiply-accumulate per cycle, whatever the operand widths.

    Narrower operands are sign-extended: they save memory traffic, but neither cycles nor PE energy,
    which is always that of a `max_bits` x `max_bits` multiplier. Energy and area are measured rows
    (2, 3, 4, 8 and 16 bits) or the fit between them.

    With `skip_zeros` a zero activation takes no cycle, as in Cnvlutin (J. Albericio et al., ISCA
    2016), so that cycles depend on the data; the detector of zeros and the queues behind it are not
    counted in area and energy: our assumption.

    >>> Fixed().rate(4, 4)
    Rate(products=1, interval=1)
    >>> Fixed(skip_zeros=True).activation_cycles(8, 8, np.array([0, 3, -1])).tolist()
    [0, 1, 1]
    """

    name: Literal["fixed"] = "fixed"
    max_bits: int = Field(8, ge=2, le=WIDEST, description="width of both operands of the multiplier")
    skip_zeros: bool = Field(False, description="a zero activation takes no cycle")

    @property
    def widest(self) -> int:
        """The multiplier's width."""
        return self.max_bits

    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Always one product per cycle."""
        self.refuse(a_bits, w_bits)
        return Rate(1, 1)

    @property
    def word_bits(self) -> int:
        """One weight."""
        return self.max_bits

    def silicon(self) -> PhysicalCost:
        """The plain PE with a partial sum of 2 max_bits + 8 bits."""
        return plain_cell(self.max_bits, self.max_bits).silicon

    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """The same for all widths that fit."""
        self.refuse(a_bits, w_bits)
        return plain_cell(self.max_bits, self.max_bits).switching_fj

    def variants(self) -> Iterator[PE]:
        """A wider multiplier."""
        for bits in range(self.max_bits + 1, WIDEST + 1):
            yield self.model_copy(update={"max_bits": bits})

    @property
    def value_dependent(self) -> bool:
        """With `skip_zeros`."""
        return self.skip_zeros

    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16] | None:
        """No cycle for zeros with `skip_zeros`, else None."""
        self.refuse(a_bits, w_bits)
        return (values != 0).astype(np.uint16) if self.skip_zeros else None

    def baseline_widths(self, a_bits: int, w_bits: int) -> tuple[int, int, int]:
        """Its own multiplier, with a partial sum of 2 max_bits + 8 bits."""
        self.refuse(a_bits, w_bits)
        return self.max_bits, self.max_bits, 2 * self.max_bits + 8
