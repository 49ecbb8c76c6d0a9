"""What there is to say about one output element: frozen records of integers, in the order of the arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hwsim.network.layer import Op, Overflow, Rounding

Index = tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """One number that goes in: whose it is, where it stands there, its code, and the integer that it stands for.

    Padding stands nowhere (`at` is None); where it has no code either, `code` is None.
    """

    source: str
    at: Index | None
    code: int | None
    value: int
    note: str = ""


@dataclass(frozen=True)
class Product:
    """One number that is added up: operand times factor, shifted left; and the sum so far, which starts at the bias.

    A pool has no factors. Of a softmax the factor is the weight that the table gives the operand.
    """

    operand: Operand
    factor: Operand | None
    product: int
    total: int
    shift: int = 0


@dataclass(frozen=True)
class Norm:
    """How a layer norm normalizes one value of a row: centred / root, both scaled, rounded half up.

    `centred` is size * value - total, `variance` is size * squares - total^2, `root` the integer root
    of the variance with more bits, and `normal` the quotient with NORM_BITS fraction bits.
    """

    size: int
    total: int
    squares: int
    centred: int
    variance: int
    root: int
    normal: int


@dataclass(frozen=True)
class Accumulated:
    """A sum, bias included, and what its accumulator makes of it.

    No sum of this channel can be larger in magnitude than `bound`, which the weights prove.
    `saturated` counts the steps at which a sum that saturates step by step did so.
    """

    bias: int
    exact: int
    held: int
    bits: int
    overflow: Overflow
    bound: int
    saturated: int = 0

    @property
    def overflowed(self) -> bool:
        """True where the accumulator does not hold the exact sum."""
        return self.held != self.exact

    @property
    def proved(self) -> bool:
        """True where no input can make this channel overflow."""
        return self.bound <= (1 << (self.bits - 1)) - 1

    @property
    def bits_needed(self) -> int:
        """Bits of the narrowest accumulator that every sum of this channel fits."""
        return self.bound.bit_length() + 1


@dataclass(frozen=True)
class Stage:
    """One division that is rounded: value / divisor = kept + rest / divisor becomes `result`.

    Of a division by 2^shift `rest` is what the shift throws away. A tie lies in the very middle.
    """

    value: int
    divisor: int
    kept: int
    rest: int
    tie: bool
    rule: Rounding
    result: int


@dataclass(frozen=True)
class Outcome:
    """What one rounding rule makes of the value: after rounding, and as a code."""

    rule: Rounding
    rounded: int
    code: int


@dataclass(frozen=True)
class Scaling:
    """From a sum to a code: multiply, round, add the zero point, clip.

    `exact` is the whole product, rounded once by the nearest rule of one step. `stages` is what the
    layer really does: the same, or two roundings (gemmlowp_double), or one of a float32 product
    (f32_half_even). `multiplier` and `shift` are None where no single pair of them is at work.
    """

    rounding: Rounding
    multiplier: int | None
    shift: int | None
    exact: Stage
    stages: tuple[Stage, ...]
    rounded: int
    zero_point: int
    low: int
    high: int
    code: int
    outcomes: tuple[Outcome, ...]

    @property
    def tie(self) -> bool:
        """True where a rounding had to break a tie."""
        return any(stage.tie for stage in self.stages)

    @property
    def clipped(self) -> bool:
        """True where the clip changes the code."""
        return self.code != self.rounded + self.zero_point

    @property
    def dissenting(self) -> tuple[Rounding, ...]:
        """The rules that give another code than the layer's own."""
        return tuple(outcome.rule for outcome in self.outcomes if outcome.code != self.code)


@dataclass(frozen=True)
class Levels:
    """A requantizer of thresholds: the levels of the channel, and how many of them the sum reaches."""

    levels: tuple[int, ...]
    reached: int
    low: int


@dataclass(frozen=True)
class Explanation:
    """One output element of one layer, from its operands to its code; parts that a layer lacks are empty or None.

    `operands` has the numbers that are looked at without being added up: the window of a max pool,
    the row of a layer norm, the code that a flatten hands on.
    """

    layer: str
    op: Op
    sample: int
    at: Index
    shape: Index
    output: str
    operands: tuple[Operand, ...]
    products: tuple[Product, ...]
    norm: Norm | None
    accumulated: Accumulated | None
    levels: Levels | None
    scaling: Scaling | None
    code: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists, tables and integers, for JSON; with what follows from the numbers."""
        table = asdict(self)
        if self.accumulated is not None:
            a = self.accumulated
            table["accumulated"] |= {"overflowed": a.overflowed, "proved": a.proved, "bits_needed": a.bits_needed}
        if self.scaling is not None:
            s = self.scaling
            table["scaling"] |= {"tie": s.tie, "clipped": s.clipped, "dissenting": s.dissenting}
        return table
