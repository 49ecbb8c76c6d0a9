"""Components of the statistics of one target: the share of each sample in the sampling error.

A statistic that is computed from many independent samples is nearly its true value plus one component per sample. The
components of a target sum to zero, and the sum of their squares estimates the variance of the statistic.
Source: E. DeLong et al., Comparing the Areas under Two or More Correlated ROC Curves, Biometrics 1988 (AUC); the delta
method (ratios of counts).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.membership.pair_counts import twice_ordered_pairs

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Components(NamedTuple):
    """A statistic of each target, and the components of its samples.

    Attributes
    ----------
    per_target : float64 [target]
    of_samples : float64 [target, sample]
    """

    per_target: Floats
    of_samples: Floats


def auc_components(places: NDArray[np.int32], member: Bools) -> Components:
    """Return the AUC of each target with its DeLong components, ties counted half.

    The component of a member is (its share of non-members in order - AUC) / members; that of a non-member likewise.

    Parameters
    ----------
    places : int32 [target, sample], as from `hwsim.kernels.membership.bootstrap.places_of`
    member : bool [target, sample], members and non-members in every row

    >>> from hwsim.kernels.membership.bootstrap import places_of
    >>> member = np.array([[True, True, False, False]])
    >>> found = auc_components(places_of(np.array([[3.0, 1.0, 2.0, 0.0]]), member), member)
    >>> found.per_target.tolist(), found.of_samples.tolist()
    ([0.75], [[0.125, -0.125, -0.125, 0.125]])
    """
    twice = twice_ordered_pairs(places)
    members = member.sum(axis=1, keepdims=True)
    nonmembers = member.shape[1] - members
    auc = np.where(member, twice, 0).sum(axis=1, keepdims=True) / (2 * members * nonmembers)
    own, other = np.where(member, members, nonmembers), np.where(member, nonmembers, members)
    return Components(auc[:, 0], (twice / (2 * other) - auc) / own)


def ratio_components(part: NDArray[Any], whole: NDArray[Any]) -> Components:
    """Return the sum of `part` over the sum of `whole` of each target, with its components; 0 where `whole` is 0.

    `part` and `whole` are bool, integer or real [target, sample], such as the members found and all members.

    >>> found = ratio_components(np.array([[True, False, False]]), np.array([[True, True, False]]))
    >>> found.per_target.tolist(), found.of_samples.tolist()
    ([0.5], [[0.25, -0.25, 0.0]])
    """
    part, whole = part.astype(np.float64), whole.astype(np.float64)
    total = whole.sum(axis=1, keepdims=True)
    safe = np.where(total == 0, 1.0, total)
    ratio = part.sum(axis=1, keepdims=True) / safe
    return Components(ratio[:, 0], (part - ratio * whole) / safe)


def mean_of_two(a: Components, b: Components) -> Components:
    """Return the mean of two statistics of the same targets and samples."""
    return Components((a.per_target + b.per_target) / 2, (a.of_samples + b.of_samples) / 2)


def difference(a: Components, b: Components) -> Components:
    """Return one statistic less another, of the same targets and samples."""
    return Components(a.per_target - b.per_target, a.of_samples - b.of_samples)
