"""Requantization of one sum, by the layer's rounding rule and by every other rule for comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.debug.explanation import Requantization, RoundingOutcome, RoundingStep
from hwsim.debug.rounding import float32_scale, float32_step, gemmlowp_steps, round_division
from hwsim.errors import HwsimError
from hwsim.network.fixed_point import fixed_point
from hwsim.network.layer import Rounding


@dataclass(frozen=True)
class OutputClip:
    """Zero point and clip bounds of an output format.

    >>> OutputClip(3, 0, 255).code(-5)
    0
    """

    zero_point: int
    low: int
    high: int

    def code(self, rounded: int) -> int:
        """Return the code of a rounded value: plus the zero point, then clipped."""
        return min(max(rounded + self.zero_point, self.low), self.high)


def scale_sum(
    value: int, multiplier: int, shift: int, rule: Rounding, accumulator_bits: int, output_clip: OutputClip
) -> Requantization:
    """Requantize a sum by one multiplier and shift, or by the float32 scale whose bits are the multiplier.

    >>> found = scale_sum(5, 1, 1, Rounding.HALF_EVEN, 32, OutputClip(0, 0, 255))
    >>> found.tie, found.code, [str(rule) for rule in found.disagreeing_rules]
    (True, 2, ['half_up', 'half_away', 'gemmlowp_double'])
    """
    numerator, divisor = multiplier, 1 << shift
    if rule is Rounding.F32_HALF_EVEN:
        numerator, divisor = float(float32_scale(multiplier)).as_integer_ratio()
    steps: dict[Rounding, tuple[RoundingStep, ...]] = {
        one: (round_division(value * numerator, divisor, one),) for one in Rounding if one.one_step
    }
    if accumulator_bits <= 32:
        steps[Rounding.GEMMLOWP_DOUBLE] = _as_gemmlowp(value, numerator, divisor)
    steps[Rounding.F32_HALF_EVEN] = (float32_step(value, np.float32(numerator / divisor)),)
    if rule is Rounding.GEMMLOWP_DOUBLE:
        steps[rule] = gemmlowp_steps(value, multiplier, shift)  # with the multiplier as the layer stores it
    nearest = {Rounding.GEMMLOWP_DOUBLE: Rounding.HALF_UP, Rounding.F32_HALF_EVEN: Rounding.HALF_EVEN}.get(rule, rule)
    return _requantization(rule, (multiplier, shift), steps[nearest][0], steps, output_clip)


def divide(value: int, divisor: int, rule: Rounding, output_clip: OutputClip) -> Requantization:
    """Divide and round once: the total of a residual add, or one probability of a softmax.

    >>> divide(-3, 2, Rounding.FLOOR, OutputClip(0, -8, 7)).code
    -2
    """
    steps = {one: (round_division(value, divisor, one),) for one in Rounding if one.one_step}
    return _requantization(rule, (None, None), steps[rule][0], steps, output_clip)


def _requantization(
    rule: Rounding,
    scale: tuple[int | None, int | None],
    exact: RoundingStep,
    steps: Mapping[Rounding, tuple[RoundingStep, ...]],
    output_clip: OutputClip,
) -> Requantization:
    """Assemble the record from the steps of each rule; `scale` is (multiplier, shift)."""
    results = {one: steps[one][-1].result for one in Rounding if steps.get(one)}
    multiplier, shift = scale
    return Requantization(
        rounding=rule,
        multiplier=multiplier,
        shift=shift,
        exact=exact,
        steps=steps[rule],
        rounded=results[rule],
        zero_point=output_clip.zero_point,
        low=output_clip.low,
        high=output_clip.high,
        code=output_clip.code(results[rule]),
        outcomes=tuple(RoundingOutcome(one, result, output_clip.code(result)) for one, result in results.items()),
    )


def _as_gemmlowp(value: int, numerator: int, divisor: int) -> tuple[RoundingStep, ...]:
    """Return TFLite's two roundings by its own encoding of the scale; empty where it cannot encode the scale."""
    if numerator == 0:
        return gemmlowp_steps(value, 0, 31)
    try:
        return gemmlowp_steps(value, *fixed_point(numerator / divisor))
    except HwsimError:
        return ()
