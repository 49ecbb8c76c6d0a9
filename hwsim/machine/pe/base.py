"""What every processing element is: a rate for each pair of operand widths, and what it is made of."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import Infeasible
from hwsim.machine.tables import Silicon
from hwsim.registry import Choice

WIDEST = 8
"""Widest operand that any PE here multiplies."""


@dataclass(frozen=True)
class Rate:
    """How fast a PE multiplies: `lanes` products along the reduction every `steps` cycles."""

    lanes: int
    steps: int


class PE(Choice):
    """Base of all processing elements.

    Each one has a field `name`, its own registry name, so that a dumped accelerator can be read back.
    `regions` says whether operand widths may change from one product to the next, as layers with
    region precision need; such a PE has one lane at every width.
    """

    regions: ClassVar[bool] = False

    @abstractmethod
    def rate(self, a_bits: int, w_bits: int) -> Rate:
        """Lanes and steps for these operand widths; raises Infeasible when this PE cannot multiply them."""

    @property
    @abstractmethod
    def word_bits(self) -> int:
        """Largest number of weight bits that one PE holds at a time."""

    @abstractmethod
    def silicon(self) -> Silicon:
        """Area, leakage and clock energy of one PE (45 nm, 1.1 V)."""

    @abstractmethod
    def mac_fj(self, a_bits: int, w_bits: int) -> float:
        """Energy that one MAC switches, clock excluded, in fJ (45 nm, 1.1 V, operands of a real network)."""

    def refuse(self, a_bits: int, w_bits: int, widest: int) -> None:
        """Raise Infeasible unless both widths lie in 1 to `widest`."""
        if min(a_bits, w_bits) >= 1 and max(a_bits, w_bits) <= widest:
            return
        wide, name = max(a_bits, w_bits), getattr(self, "name", type(self).__name__)
        able = f'pe = {{name = "fixed", max_bits = {wide}}} can' if wide <= WIDEST else f"no PE goes beyond {WIDEST}"
        raise Infeasible(
            f"PE {name!r} multiplies 1 to {widest} bits, not {a_bits}-bit activations by {w_bits}-bit weights; {able}"
        )
