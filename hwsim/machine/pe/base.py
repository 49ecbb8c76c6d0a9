"""Base of all processing elements: throughput at each pair of operand widths, physical cost, optional abilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import Infeasible
from hwsim.formats import Format, Kind
from hwsim.machine.technology.tables import PhysicalCost
from hwsim.registry import Configurable

MAX_OPERAND_BITS = 16
"""Bits of the widest operand that any built-in PE multiplies."""


@dataclass(frozen=True)
class Rate:
    """Throughput of a PE.

    Attributes
    ----------
    products : products along the reduction that one PE computes together
    interval : cycles from one set of operands to the next
    """

    products: int
    interval: int


class PE(Configurable):
    """Base of all processing elements.

    A new PE is one file in this folder: a class under `@register("pe", ...)` with a field `name` and the five
    abstract members below. The remaining members have defaults that suit most PEs.

    Attributes
    ----------
    name : registry name of the class, so that a dumped accelerator can be read back
    regions : whether operand widths may change from one product to the next, as layers with region precision
        need; such a PE computes one product at a time at every width
    """

    regions: ClassVar[bool] = False

    name: str

    # Five members that every PE defines.

    @property
    @abstractmethod
    def max_operand_bits(self) -> int:
        """Bits of the widest operand that this PE multiplies."""

    @abstractmethod
    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return the throughput at these operand widths; raises Infeasible for unsupported widths (see `require`).

        Where cycles depend on values (`value_timing`), `interval` is their maximum over all values.
        """

    def usual_rate(self, a_bits: int, w_bits: int) -> Rate:
        """Return the throughput by which tilings are ranked: `rate`, unless most values take fewer cycles."""
        return self.rate(a_bits, w_bits)

    @property
    @abstractmethod
    def weight_register_bits(self) -> int:
        """Largest number of weight bits that one PE stores at a time."""

    @abstractmethod
    def physical_cost(self) -> PhysicalCost:
        """Return area, leakage and clock energy of one PE (45 nm, 1.1 V)."""

    @abstractmethod
    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Return the switching energy of one MAC, clock excluded, in fJ (45 nm, 1.1 V, operands of a real network)."""

    # Supported operands.

    def supports_widths(self, a_bits: int, w_bits: int) -> bool:
        """Return whether `rate` is defined at these operand widths."""
        return min(a_bits, w_bits) >= 1 and max(a_bits, w_bits) <= self.max_operand_bits

    def supports(self, a_format: Format, w_format: Format) -> bool:
        """Return whether this PE multiplies codes of these formats: by default, supported widths and no codebook.

        Midrise and binary codes run as plain integers: sum a (2c - n) is 2 sum a c - n sum a, and the second
        sum is corrected together with zero points. Codebook weights need a PE with a decode table, or must be
        stored decoded.
        """
        plain = Kind.CODEBOOK not in (a_format.kind, w_format.kind)
        return plain and self.supports_widths(a_format.bits, w_format.bits)

    def require(self, a_bits: int, w_bits: int) -> None:
        """Raise Infeasible unless this PE supports these operand widths."""
        if not self.supports_widths(a_bits, w_bits):
            widths = "1 bit" if self.max_operand_bits == 1 else f"1 to {self.max_operand_bits} bits"
            raise Infeasible(
                f"PE {self.name!r} multiplies {widths}, not {a_bits}-bit activations by {w_bits}-bit weights"
            )

    # Comparison with other PEs, when one is suggested in place of another.

    def variants(self) -> Iterator[PE]:
        """Yield copies of this PE whose parameters support more operands, smallest change first; none by default."""
        return iter(())

    def area_delay(self, a_bits: int, w_bits: int) -> float:
        """Return the area-delay product, um2 times cycles per product, with the worst-case cycles."""
        rate = self.rate(a_bits, w_bits)
        return self.physical_cost().area_um2 * rate.interval / rate.products

    # Optional abilities.

    @property
    def value_timing(self) -> ActivationTiming | OutlierTiming | None:
        """Cycles by operand value; None where cycles depend on the operand widths alone."""
        return None

    def decode_fj(self, code_bits: int) -> float:
        """Return the energy of decoding one codebook weight when it is loaded, in fJ; 0 without a decode table."""
        return 0.0

    def baseline_widths(self, a_bits: int, w_bits: int) -> tuple[int, int, int] | None:
        """Return weight, activation and partial-sum bits of the plain weight-stationary MAC that equals this PE.

        The widths select a row of the activity model. None where this PE is not a plain MAC.
        """
        return None


class ActivationTiming(ABC):
    """Ability of a PE whose cycles depend on the activation's value."""

    @property
    def rows_per_group(self) -> int:
        """Number of neighboring rows that all take the cycles of their slowest activation."""
        return 1

    @abstractmethod
    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16]:
        """Return the cycles of each activation.

        Parameters
        ----------
        a_bits, w_bits : operand widths
        values : int64, any shape; decoded activations

        Returns
        -------
        uint16 of the shape of `values`, 0 to `rate(a_bits, w_bits).interval` (Loom takes 256 cycles at 16x16)
        """


class OutlierTiming(ABC):
    """Ability of a PE that handles few wide operands (outliers) separately: weights in extra cycles, activations apart.

    Outlier activations leave the array for separate multipliers (the outlier unit).
    """

    @abstractmethod
    def weight_cycles(self, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the cycles of each filter group at each reduction index.

        Parameters
        ----------
        w_bits : width of the weights
        values : int64 [filter, reduction]; decoded weights of one fold

        Returns
        -------
        uint8 [group, reduction], 1 to `rate(...).interval`; a group is a run of neighboring filters
        """

    @abstractmethod
    def outlier_codes(self, values: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which activations are outliers; `values` int64 are the values of *all* codes of one format."""

    @abstractmethod
    def outlier_cycles(self, products: NDArray[np.int64], pes: int) -> NDArray[np.int64]:
        """Return the outlier unit's cycles for these numbers of products with outlier activations, same shape.

        `pes` is the number of PEs of the array, to which the size of the outlier unit is proportional.
        """
