"""Explanation of one output element: frozen records of integers, in the order of the arithmetic."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hwsim.network.layer import Op, Overflow, Rounding

Index = tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """One input number of the arithmetic.

    Attributes
    ----------
    source : name of the layer or tensor that the number comes from
    at : index in that tensor, without the sample axis; None for padding
    code : stored integer; None for padding without a code and for intermediate results
    value : decoded integer, which the arithmetic uses
    note : remark for a reader, such as "padding"
    """

    source: str
    at: Index | None
    code: int | None
    value: int
    note: str = ""


@dataclass(frozen=True)
class PartialProduct:
    """One addend of a sum, with the running sum after it.

    Attributes
    ----------
    operand : first factor
    factor : second factor; None in a pool; the table entry of the operand in a softmax
    product : `operand.value * factor.value << shift`
    total : running sum, which starts at the bias
    shift : bits by which the product is shifted left
    """

    operand: Operand
    factor: Operand | None
    product: int
    total: int
    shift: int = 0


@dataclass(frozen=True)
class Normalization:
    """One value of a row normalized by a layer norm: centered / root, both scaled, rounded half up.

    Attributes
    ----------
    size : values in the row
    total : sum of the row
    squares : sum of the squares of the row
    centered : `size * value - total`
    variance : `size * squares - total^2`
    root : integer square root of the variance with ROOT_BITS more bits, at least 1
    normal : quotient with NORM_BITS fraction bits
    """

    size: int
    total: int
    squares: int
    centered: int
    variance: int
    root: int
    normal: int


@dataclass(frozen=True)
class AccumulatedSum:
    """A sum, bias included, before and after the overflow policy of its accumulator.

    Attributes
    ----------
    bias : bias of the channel
    exact : sum in unbounded integers
    stored : sum in the accumulator
    bits : width of the accumulator
    overflow : overflow policy of the accumulator
    bound : largest magnitude that the weights of this channel allow
    saturated : steps that saturated, under the policy `saturate_step`
    """

    bias: int
    exact: int
    stored: int
    bits: int
    overflow: Overflow
    bound: int
    saturated: int = 0

    @property
    def overflowed(self) -> bool:
        """True where the accumulator differs from the exact sum."""
        return self.stored != self.exact

    @property
    def proved(self) -> bool:
        """True where no input can make this channel overflow."""
        return self.bound <= (1 << (self.bits - 1)) - 1

    @property
    def bits_needed(self) -> int:
        """Width of the narrowest accumulator in which no sum of this channel overflows."""
        return self.bound.bit_length() + 1


@dataclass(frozen=True)
class RoundingStep:
    """One rounded division: `value / divisor = quotient + remainder / divisor`.

    Attributes
    ----------
    value, divisor : operands of the division
    quotient : quotient, rounded down
    remainder : 0 to divisor - 1; the bits shifted out where the divisor is a power of two
    tie : True where the exact quotient lies exactly between two integers
    rule : rounding rule
    result : rounded quotient
    """

    value: int
    divisor: int
    quotient: int
    remainder: int
    tie: bool
    rule: Rounding
    result: int


@dataclass(frozen=True)
class RoundingOutcome:
    """Result of one rounding rule on the explained value: the rounded integer, and the code after the clip."""

    rule: Rounding
    rounded: int
    code: int


@dataclass(frozen=True)
class Requantization:
    """Computation of a code from a sum: multiply, round, add the zero point, clip.

    Attributes
    ----------
    rounding : rounding rule of the layer
    multiplier, shift : fixed-point scale; None for a residual add and a softmax, which have no single pair
    exact : the whole product, rounded once by the nearest rule that is one step
    steps : roundings of the layer: equal to `(exact,)` for rules that are one step, two for gemmlowp_double,
        one of a float32 product for f32_half_even
    rounded : result of the last step
    zero_point : zero point of the output format
    low, high : clip bounds
    code : output code
    outcomes : result of each applicable rounding rule on the same sum
    """

    rounding: Rounding
    multiplier: int | None
    shift: int | None
    exact: RoundingStep
    steps: tuple[RoundingStep, ...]
    rounded: int
    zero_point: int
    low: int
    high: int
    code: int
    outcomes: tuple[RoundingOutcome, ...]

    @property
    def tie(self) -> bool:
        """True where a rounding step is a tie."""
        return any(step.tie for step in self.steps)

    @property
    def clipped(self) -> bool:
        """True where the clip changes the code."""
        return self.code != self.rounded + self.zero_point

    @property
    def disagreeing_rules(self) -> tuple[Rounding, ...]:
        """Rounding rules with another code than the layer's rule."""
        return tuple(outcome.rule for outcome in self.outcomes if outcome.code != self.code)


@dataclass(frozen=True)
class ThresholdResult:
    """Result of a threshold requantizer.

    Attributes
    ----------
    levels : levels of the channel, not decreasing
    reached : number of levels that the sum reaches
    low : code of a sum that reaches no level
    """

    levels: tuple[int, ...]
    reached: int
    low: int


@dataclass(frozen=True)
class Explanation:
    """One output element of one layer, from its operands to its code; absent parts are empty or None.

    Attributes
    ----------
    layer, op : name and operation of the layer
    sample : index of the sample
    at : index of the element in the layer's output, without the sample axis
    shape : shape of the layer's output, without the sample axis
    output : output format, as text
    operands : numbers that are read but not added: the window of a max pool, the row of a layer norm, the code that
        a flatten, reshape or transpose copies, the operand of a concatenation
    products : addends of the sum, in the order of the reduction
    normalization : normalized value of a layer norm
    accumulated : sum in the accumulator
    thresholds : result of a threshold requantizer
    requantization : result of a multiplying requantizer
    code : output code, or the raw sum in the last layer
    """

    layer: str
    op: Op
    sample: int
    at: Index
    shape: Index
    output: str
    operands: tuple[Operand, ...]
    products: tuple[PartialProduct, ...]
    normalization: Normalization | None
    accumulated: AccumulatedSum | None
    thresholds: ThresholdResult | None
    requantization: Requantization | None
    code: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, tables and integers for JSON, derived properties included."""
        table = asdict(self)
        if self.accumulated is not None:
            a = self.accumulated
            table["accumulated"] |= {"overflowed": a.overflowed, "proved": a.proved, "bits_needed": a.bits_needed}
        if self.requantization is not None:
            r = self.requantization
            table["requantization"] |= {"tie": r.tie, "clipped": r.clipped, "disagreeing_rules": r.disagreeing_rules}
        return table
