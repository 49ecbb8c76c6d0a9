"""From a sum to a code, with what every other rounding rule would have made of the same sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.debug.explanation import Outcome, Scaling, Stage
from hwsim.debug.rounding import float_scale, float_stage, gemmlowp_stages, stage
from hwsim.errors import HwsimError
from hwsim.network.fixed_point import fixed_point
from hwsim.network.layer import Rounding


@dataclass(frozen=True)
class Ending:
    """What happens to a rounded value: the zero point is added, then the clip.

    >>> Ending(3, 0, 255).code(-5)
    0
    """

    zero_point: int
    low: int
    high: int

    def code(self, rounded: int) -> int:
        """The code of a rounded value."""
        return min(max(rounded + self.zero_point, self.low), self.high)


def scale_sum(
    value: int, multiplier: int, shift: int, rule: Rounding, accumulator_bits: int, ending: Ending
) -> Scaling:
    """A sum that meets one multiplier and one shift, or the float32 whose bits the multiplier holds.

    >>> scaling = scale_sum(5, 1, 1, Rounding.HALF_EVEN, 32, Ending(0, 0, 255))
    >>> scaling.tie, scaling.code, [str(rule) for rule in scaling.dissenting]
    (True, 2, ['half_up', 'half_away', 'gemmlowp_double'])
    """
    numerator, divisor = multiplier, 1 << shift
    if rule is Rounding.F32_HALF_EVEN:
        numerator, divisor = float(float_scale(multiplier)).as_integer_ratio()
    stages: dict[Rounding, tuple[Stage, ...]] = {
        one: (stage(value * numerator, divisor, one),) for one in Rounding if one.one_step
    }
    if accumulator_bits <= 32:
        stages[Rounding.GEMMLOWP_DOUBLE] = _as_gemmlowp(value, numerator, divisor)
    stages[Rounding.F32_HALF_EVEN] = (float_stage(value, np.float32(numerator / divisor)),)
    if rule is Rounding.GEMMLOWP_DOUBLE:
        stages[rule] = gemmlowp_stages(value, multiplier, shift)  # as the layer writes its multiplier
    nearest = {Rounding.GEMMLOWP_DOUBLE: Rounding.HALF_UP, Rounding.F32_HALF_EVEN: Rounding.HALF_EVEN}.get(rule, rule)
    return _scaling(rule, (multiplier, shift), stages[nearest][0], stages, ending)


def divide(value: int, divisor: int, rule: Rounding, ending: Ending) -> Scaling:
    """A value that is divided and rounded once: the total of a residual add, or the share of a softmax.

    >>> divide(-3, 2, Rounding.FLOOR, Ending(0, -8, 7)).code
    -2
    """
    stages = {one: (stage(value, divisor, one),) for one in Rounding if one.one_step}
    return _scaling(rule, (None, None), stages[rule][0], stages, ending)


def _scaling(
    rule: Rounding,
    pair: tuple[int | None, int | None],
    exact: Stage,
    stages: Mapping[Rounding, tuple[Stage, ...]],
    ending: Ending,
) -> Scaling:
    results = {one: stages[one][-1].result for one in Rounding if stages.get(one)}
    outcomes = tuple(Outcome(one, result, ending.code(result)) for one, result in results.items())
    code = ending.code(results[rule])
    return Scaling(
        rule, *pair, exact, stages[rule], results[rule], ending.zero_point, ending.low, ending.high, code, outcomes
    )


def _as_gemmlowp(value: int, numerator: int, divisor: int) -> tuple[Stage, ...]:
    """The two roundings with the scale written as TFLite writes it; empty for a scale that it cannot write."""
    if numerator == 0:
        return gemmlowp_stages(value, 0, 31)
    try:
        return gemmlowp_stages(value, *fixed_point(numerator / divisor))
    except HwsimError:
        return ()
