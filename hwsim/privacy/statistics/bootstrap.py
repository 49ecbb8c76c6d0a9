"""Percentile bootstrap of the statistics of an attack, over samples and over target models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.statistics.roc import Interval
from hwsim.rng import derive_seed, stream

RESAMPLES = 1000
"""Default number of bootstrap resamples."""


@dataclass(frozen=True, eq=False)
class Statistic:
    """One number of an attack per target, and its mean over the targets with two 95 % percentile intervals.

    Attributes
    ----------
    per_target : float64 [target]
    draws : float64 [resample], means over the targets with the samples resampled, equally for all targets and attacks
    ci_samples : interval of `draws`: another pool of samples, the same trained models
    ci_targets : interval of the mean with the targets resampled: other trainings. The targets share their samples and
        are each other's shadow models, so this interval is too narrow.
    """

    per_target: NDArray[np.float64]
    draws: NDArray[np.float64]
    ci_samples: Interval
    ci_targets: Interval

    @property
    def mean(self) -> float:
        """Mean over the targets."""
        return float(self.per_target.mean())


def bootstrapped(per_target: NDArray[np.float64], draws: NDArray[np.float64], seed: int) -> Statistic:
    """Return the statistic with its intervals.

    `per_target` is float64 [target]; `draws` float64 [resample, target] are its values on resampled samples. `seed`
    fixes the resampling of the targets.
    """
    means = draws.mean(axis=1)
    by_targets = _resampled_targets(per_target, len(means), seed)
    return Statistic(per_target, means, percentile_interval(means), percentile_interval(by_targets))


def resample_seeds(resamples: int, seed: int) -> NDArray[np.uint64]:
    """Return the seed of the samples of each resample, uint64 [resample]."""
    return np.array([derive_seed(seed, "bootstrap points", r) for r in range(resamples)], dtype=np.uint64)


def percentile_interval(draws: NDArray[np.float64]) -> Interval:
    """Return the central 95 % of the draws, float64 [resample]."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))


def _resampled_targets(per_target: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the mean of `per_target` float64 [target] over resampled targets, float64 [resample]."""
    targets = len(per_target)
    drawn = stream(seed, "bootstrap targets").integers(targets, size=(resamples, targets))
    return np.asarray(per_target[drawn].mean(axis=1))
