"""What every processing element is: a rate for each pair of operand widths, and what it is made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import Infeasible
from hwsim.formats import Format, Kind
from hwsim.machine.mapping.pe_suggestions import as_toml, suggest_pe
from hwsim.machine.technology.tables import PhysicalCost
from hwsim.registry import Configurable

WIDEST = 16
"""Widest operand that any PE here multiplies."""


@dataclass(frozen=True)
class Rate:
    """How fast a PE multiplies: `lanes` products along the reduction every `steps` cycles."""

    products: int
    interval: int


class PE(Configurable):
    """Base of all processing elements.

    A new one is a registered class with a field `name` (its own registry name, so that a dumped
    accelerator can be read back) and the six abstract members. The other methods describe what only
    some PEs do: other operand kinds, and steps that depend on the operands' values.

    `regions` says whether operand widths may change from one product to the next, as layers with
    region precision need; such a PE has one lane at every width.
    """

    regions: ClassVar[bool] = False

    name: str

    @property
    @abstractmethod
    def widest(self) -> int:
        """Bits of the widest operand that this PE multiplies."""

    @abstractmethod
    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Lanes and steps for these operand widths; raises Infeasible when this PE cannot multiply them.

        Where steps depend on values (`weight_cycles`) these are the most that any values take.
        """

    @property
    @abstractmethod
    def word_bits(self) -> int:
        """Largest number of weight bits that one PE holds at a time."""

    @abstractmethod
    def silicon(self) -> PhysicalCost:
        """Area, leakage and clock energy of one PE (45 nm, 1.1 V)."""

    @abstractmethod
    def mac_energy_fj(self, a_bits: int, w_bits: int) -> float:
        """Energy that one MAC switches, clock excluded, in fJ (45 nm, 1.1 V, operands of a real network)."""

    def variants(self) -> Iterator[PE]:
        """This PE with parameters that take more operands, the smallest change first; none by default."""
        return iter(())

    def multiplies(self, a_bits: int, w_bits: int) -> bool:
        """Whether `rate` has an answer for these widths."""
        return min(a_bits, w_bits) >= 1 and max(a_bits, w_bits) <= self.widest

    def takes(self, a_format: Format, w_format: Format) -> bool:
        """Whether this PE multiplies codes of these formats: its widths, and no codebook.

        Odd and binary codes run as plain ones: sum a (2c - n) is twice sum a c, less n times sum a,
        which is corrected where zero points are. A codebook has no such form: its codes need a PE
        that looks them up, or must be stored decoded.
        """
        plain = Kind.CODEBOOK not in (a_format.kind, w_format.kind)
        return plain and self.multiplies(a_format.bits, w_format.bits)

    def area_time(self, a_bits: int, w_bits: int) -> float:
        """Silicon times cycles per product when no value is known, um2: what PEs that can are compared by."""
        rate = self.rate(a_bits, w_bits)
        return self.silicon().area_um2 * rate.interval / rate.products

    def refuse(self, a_bits: int, w_bits: int) -> None:
        """Raise Infeasible, naming the nearest PE that can, unless this one multiplies these widths."""
        if self.multiplies(a_bits, w_bits):
            return
        able = suggest_pe(self, lambda pe: pe.multiplies(a_bits, w_bits), a_bits, w_bits)
        advice = f"{as_toml(able, self)} can" if able else f"no PE can: they multiply 1 to {WIDEST} bits"
        raise Infeasible(
            f"PE {self.name!r} multiplies {'1 bit' if self.widest == 1 else f'1 to {self.widest} bits'}, "
            f"not {a_bits}-bit activations by {w_bits}-bit weights; {advice}"
        )

    def check(self, a_format: Format, w_format: Format) -> None:
        """Raise Infeasible, naming the nearest PE that can, unless this one takes codes of these formats."""
        if self.takes(a_format, w_format):
            return
        if Kind.CODEBOOK not in (a_format.kind, w_format.kind):
            self.refuse(a_format.bits, w_format.bits)
        able = suggest_pe(self, lambda pe: pe.takes(a_format, w_format), a_format.bits, w_format.bits)
        advice = [f"{as_toml(able, self)} can"] if able else []
        if w_format.kind is Kind.CODEBOOK:
            advice.append("or store the decoded weights as plain codes" if able else "store the decoded weights")
        given = f"activations of {a_format} by weights of {w_format}"
        raise Infeasible(f"PE {self.name!r} does not multiply {given}; {', '.join(advice) or 'no PE does'}")

    @property
    def value_dependent(self) -> bool:
        """Whether `activation_cycles`, `weight_cycles` or `outlier_codes` has an answer, so that cycles depend on values."""
        return False

    @property
    def rows_per_group(self) -> int:
        """Neighbouring rows that all take the steps of the slowest of their activations."""
        return 1

    def activation_cycles(self, a_bits: int, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint16] | None:
        """Cycles that each activation takes by its value, where they differ; None where all take those of `rate`.

        `values` are decoded activations, int64 of any shape; the result has the same shape and lies
        in 0 to `rate(a_bits, w_bits).interval` (16 bits wide, because Loom takes 256 steps at 16x16).
        """
        return None

    def weight_cycles(self, w_bits: int, values: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Cycles of each filter group at each reduction index, where weight values decide; None elsewhere.

        `values` are the decoded weights of one fold, int64 [filters, reduction]; the result is
        [groups, reduction], a group being neighbouring filters. None of them exceeds `rate(..).interval`.
        """
        return None

    def outlier_codes(self, values: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which activations leave the array for multipliers of their own; None where there are none.

        `values` are those of *all* codes of one format, int64; the result has the same shape.
        """
        return None

    def outlier_cycles(self, products: NDArray[np.int64], pes: int) -> NDArray[np.int64]:
        """Cycles that so many products with outlier activations take beside an array of `pes` PEs, same shape."""
        return np.zeros_like(products)

    def decode_fj(self, code_bits: int) -> float:
        """Energy of looking up one codebook weight, once per weight loaded into a PE, in fJ; 0 without a table."""
        return 0.0

    def baseline_widths(self, a_bits: int, w_bits: int) -> tuple[int, int, int] | None:
        """Weight, activation and partial-sum bits of the plain weight-stationary MAC that this PE is, or None.

        Names the row of the activity model that describes the PE; the table has only measured widths.
        """
        return None
