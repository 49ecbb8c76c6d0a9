"""The mean of a statistic over the targets of a game, with the interval V*.

The mean varies because another pool of samples would have been drawn, and because other models would have been
trained. The targets share their samples and are each other's shadow models, so neither a bootstrap of the samples nor
the spread of the targets covers both.

    V* = V_samples + 2 max(0, V_targets - V_within)
    interval = mean +- t(0.975, targets - 1) sqrt(V*), cut to the values that the statistic can have

With the component h_t[i] of sample i in the statistic of target t (`hwsim.privacy.statistics.components`), N samples
and T targets:

    V_samples = N / (N - 1) sum over i of (mean over t of h_t[i])^2     the targets share the samples
    V_targets = variance of the targets' values / T
    V_within  = sum over t and i of h_t[i]^2 / T^2                      the part of V_targets that the samples cause

For a threshold that is chosen in hindsight V_within is taken as 0. Where no component exists, variances over bootstrap
resamples stand in for V_samples and V_within.

Design choice: V*. The factor 2 is there because a score compares a target with its shadow models, and every pair of
models counts in the results of both. `tests/privacy/statistics/test_coverage.py` measures how often the interval covers
the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.statistics.components import Components
from hwsim.privacy.statistics.roc import Interval

CONFIDENCE = 0.95
SHARE = Interval(0.0, 1.0)
"""Range of an AUC, a rate or an accuracy."""

DIFFERENCE = Interval(-1.0, 1.0)
"""Range of a difference of two such numbers."""


@dataclass(frozen=True)
class Variance:
    """Parts of the variance V* of a mean over targets.

    Attributes
    ----------
    samples : V_samples
    targets : V_targets; None where it cannot be estimated, with one target, or is none, without trained models
    within : V_within
    """

    samples: float
    targets: float | None
    within: float

    @property
    def models(self) -> float:
        """Part of V* that is due to the trained models, 2 max(0, V_targets - V_within)."""
        return 0.0 if self.targets is None else 2 * max(0.0, self.targets - self.within)

    @property
    def total(self) -> float:
        """V*."""
        return self.samples + self.models


@dataclass(frozen=True, eq=False)
class Statistic:
    """One number per target, and its mean over the targets with a 95 % interval.

    Attributes
    ----------
    per_target : float64 [target]
    variance : parts of the variance of the mean
    limits : smallest and largest value that the number can have
    """

    per_target: NDArray[np.float64]
    variance: Variance
    limits: Interval = SHARE

    @property
    def mean(self) -> float:
        """Mean over the targets."""
        return float(self.per_target.mean())

    @property
    def se(self) -> float:
        """Standard error of the mean, the root of V*."""
        return math.sqrt(self.variance.total)

    @property
    def se_models(self) -> float:
        """Part of the standard error that is due to the trained models; the squares of the two parts add up."""
        return math.sqrt(self.variance.models)

    @property
    def se_samples(self) -> float:
        """Part of the standard error that is due to the samples."""
        return math.sqrt(self.variance.samples)

    @property
    def ci(self) -> Interval:
        """95 % interval; the mean lies within. With one target it leaves out how models differ."""
        from scipy.special import stdtrit

        half = float(stdtrit(self._freedom, (1 + CONFIDENCE) / 2)) * self.se
        return Interval(max(self.limits.low, self.mean - half), min(self.limits.high, self.mean + half))

    def p_value(self, value: float) -> float:
        """Return the two-sided p-value of a true mean of `value`; it is below 0.05 where `ci` leaves `value` out."""
        from scipy.special import stdtr

        distance = abs(self.mean - value)
        if distance == 0:
            return 1.0
        return 2 * float(stdtr(self._freedom, -distance / self.se)) if self.se > 0 else 0.0

    @property
    def _freedom(self) -> float:
        """Degrees of freedom of Student's t: targets - 1; infinite, a normal distribution, without V_targets."""
        return math.inf if self.variance.targets is None else len(self.per_target) - 1

    def __repr__(self) -> str:
        low, high = self.ci
        return f"Statistic({self.mean:.4f} [{low:.4f}, {high:.4f}], {len(self.per_target)} targets)"


def of_components(
    components: Components, limits: Interval = SHARE, trained: bool = True, hindsight: bool = False
) -> Statistic:
    """Return the statistic of these components.

    `trained` is False where no trained model plays a part. `hindsight` is True where each target has a threshold that
    was chosen with its own samples, which the components take as given: they overstate V_within then, so nothing is
    subtracted from V_targets.
    """
    values, h = components
    targets, samples = h.shape
    shared = samples / max(1, samples - 1) * float(np.sum(h.mean(axis=0) ** 2))
    within = 0.0 if hindsight else float(np.sum(h**2)) / targets**2
    return Statistic(values, Variance(shared, _of_targets(values) if trained else None, within), limits)


def of_resamples(
    per_target: NDArray[np.float64], draws: NDArray[np.float64], limits: Interval = SHARE, trained: bool = True
) -> Statistic:
    """Return the statistic of values float64 [target], whose values on resampled samples are `draws`.

    `draws` is float64 [resample, target], two resamples or more, the same samples for all targets. `trained` is False
    where no trained model plays a part.
    """
    shared = float(draws.mean(axis=1).var(ddof=1))
    within = float(draws.var(axis=0, ddof=1).sum()) / len(per_target) ** 2
    return Statistic(per_target, Variance(shared, _of_targets(per_target) if trained else None, within), limits)


def _of_targets(values: NDArray[np.float64]) -> float | None:
    """Return V_targets of values float64 [target], None for one target."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else None


class Size(NamedTuple):
    """Numbers of models, each attacked as a target, and of samples."""

    models: int
    samples: int


DIFFERENCE_TO_RESOLVE = 0.01
POWER = 0.8


def standard_error_needed(difference: float = DIFFERENCE_TO_RESOLVE, power: float = POWER) -> float:
    """Return the standard error at which a difference is significant at the 5 % level with this probability.

    >>> round(standard_error_needed(), 4)
    0.0036
    """
    from scipy.special import ndtri

    return difference / float(ndtri((1 + CONFIDENCE) / 2) + ndtri(power))


def size_needed(statistic: Statistic, samples: int, difference: float = DIFFERENCE_TO_RESOLVE) -> Size | None:
    """Return the numbers of models and samples that would resolve a difference with a power of 80 %.

    The part of the variance that is due to the models falls with their number, the other part with the number of
    samples. Both numbers grow by one factor, to an even number of models; models that add no variance stay as they are.
    Numbers that suffice already are returned as they are. None with one target, where the models' part is unknown.

    `samples` is the present number of samples.
    """
    variance, targets = statistic.variance, len(statistic.per_target)
    if variance.targets is None:
        return None
    wanted = standard_error_needed(difference) ** 2
    factor = variance.total / wanted
    if factor <= 1:
        return Size(targets, samples)
    models = 2 * math.ceil(targets * factor / 2) if variance.models > 0 else targets
    if variance.samples == 0:
        return Size(models, samples)
    left = wanted - variance.models * targets / models
    return Size(models, max(samples, math.ceil(samples * variance.samples / left)))
