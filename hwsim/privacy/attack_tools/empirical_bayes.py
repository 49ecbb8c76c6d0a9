"""Empirical-Bayes likelihood ratio: the gap between IN and OUT models is shrunk towards that of all samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.membership.gap_prior import gap_prior
from hwsim.privacy.attack_tools.exact_sum import total
from hwsim.privacy.attack_tools.moments import Moments

SIGNIFICANT = 1.96
"""Standard errors from which on IN and OUT variances are taken as different, 5 % of equal ones (design choice)."""


def empirical_bayes_ratio(
    own: NDArray[np.float64], out_set: Moments, in_set: Moments, prior_strength: float, floor: float
) -> NDArray[np.float64]:
    """Return log p(value | member) - log p(value | non-member), float64 [sample].

    Parameters
    ----------
    own : float64 [sample], values of the target
    out_set, in_set : moments of equally many OUT and IN models of each sample; two or more for some sample
    prior_strength : weight of the pooled variance, in observations
    floor : smallest variance

    1. Variances v_in and v_out of each sample are shrunk towards the pooled ones. Where the two pooled ones do not
       differ significantly, IN and OUT models have one common variance.
    2. The gap d = mean_in - mean_out of a sample with n models in each set has the error e = (v_in + v_out) / n. The
       true gaps of all samples have a mean d0 and a variance tau^2 (`gap_prior`). A sample's gap is shrunk to
       d0 + b (d - d0) with b = tau^2 / (tau^2 + e); its posterior variance is b e.
    3. The means of IN and OUT models are placed that far apart, around the center that fits both observed means best.
       The variances gain the center's variance and a quarter of the gap's. The densities are Student-t.

    Source: empirical Bayes with moments as in R. DerSimonian and N. Laird, Meta-Analysis in Clinical Trials, 1986.
    Design choice: its use on shadow models, and step 3.
    """
    size = in_set.size
    v_in, v_out, freedom = _variances(out_set, in_set, prior_strength, floor)
    gap, error = in_set.mean - out_set.mean, (v_in + v_out) / size
    mean, variance = gap_prior(gap, error)
    kept = variance / (variance + error)
    gap = mean + kept * (gap - mean)
    share = v_out / (v_in + v_out)  # of the IN models in the center: the smaller their variance, the larger
    center = share * (in_set.mean - gap / 2) + (1 - share) * (out_set.mean + gap / 2)
    uncertain = share * v_in / size + kept * error / 4
    log_in, log_out = (
        _log_student(own - center + side * gap / 2, v + uncertain, freedom) for side, v in ((-1, v_in), (1, v_out))
    )
    return np.asarray(log_in - log_out)


def _variances(
    out_set: Moments, in_set: Moments, prior_strength: float, floor: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the variances of IN and of OUT models, and the degrees of freedom, float64 [sample] each."""
    degrees = (in_set.size - 1).astype(np.float64)
    pooled_in, pooled_out = (total(s.squares) / degrees.sum() for s in (in_set, out_set))
    difference, noise = (pooled_in - pooled_out) * degrees.sum(), total((in_set.squares - out_set.squares) ** 2)
    if difference**2 <= SIGNIFICANT**2 * noise:
        freedom = prior_strength + 2 * degrees
        pooled = (pooled_in + pooled_out) / 2
        common = (prior_strength * pooled + (in_set.squares + out_set.squares)) / freedom + floor
        return common, common, freedom
    freedom = prior_strength + degrees
    v_in, v_out = (
        (prior_strength * pooled + s.squares) / freedom + floor
        for pooled, s in ((pooled_in, in_set), (pooled_out, out_set))
    )
    return v_in, v_out, freedom


def _log_student(
    distance: NDArray[np.float64], scale: NDArray[np.float64], freedom: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the log density of a Student-t of squared scale `scale`, less a constant of `freedom`; all [sample]."""
    return np.asarray(-(freedom + 1) / 2 * np.log1p(distance**2 / scale / freedom) - np.log(scale) / 2)
