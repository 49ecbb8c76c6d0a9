"""Clopper-Pearson intervals of an attack's rates, and a lower bound on epsilon of differential privacy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.statistics.roc import Interval, roc
from hwsim.rng import stream

_MIN_PER_HALF = 2


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the exact two-sided interval of a share from `successes` in a number of independent `trials`.

    It covers the true share with at least the given confidence. Raises BadInput for impossible counts.
    Source: C. Clopper and E. Pearson, The use of confidence or fiducial limits, Biometrika 1934.

    >>> low, high = clopper_pearson(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    _check_counts(successes, trials, confidence)
    tail = (1 - confidence) / 2
    return Interval(
        1 - float(upper_limits(np.array([trials - successes]), trials, tail)[0]),
        float(upper_limits(np.array([successes]), trials, tail)[0]),
    )


@dataclass(frozen=True)
class Rates:
    """True- and false-positive rate at one threshold, each with its Clopper-Pearson interval."""

    threshold: float
    tpr: float
    tpr_interval: Interval
    fpr: float
    fpr_interval: Interval


def rates_at(
    scores: NDArray[np.floating[Any]], member: NDArray[np.bool_], threshold: float, confidence: float = 0.95
) -> Rates:
    """Return TPR and FPR of predicting member from `threshold` on, a threshold chosen without these scores.

    `scores` float [n] and `member` bool [n] are of one target. Each interval alone has the given confidence.

    >>> scores, member = np.array([3.0, 2.0, 1.0, 0.0]), np.array([True, True, False, False])
    >>> rates_at(scores, member, threshold=1.5).tpr
    1.0
    """
    curve = roc(scores, member)
    found = curve.at(threshold)
    return Rates(
        threshold,
        found.recall,
        clopper_pearson(found.true_positives, curve.members, confidence),
        1 - found.recall_nonmembers,
        clopper_pearson(found.false_positives, curve.nonmembers, confidence),
    )


@dataclass(frozen=True)
class EpsilonBound:
    """A lower bound on epsilon: with this confidence no (epsilon, delta)-private training has a smaller epsilon.

    Attributes
    ----------
    epsilon, delta : the parameters of differential privacy
    confidence : confidence of the bound
    threshold : scores from this threshold on predict member
    fnr_high, fpr_high : upper limits of the attack's errors at `threshold`, on samples that did not choose it
    """

    epsilon: float
    delta: float
    confidence: float
    threshold: float
    fnr_high: float
    fpr_high: float


def epsilon_lower_bound(
    scores: NDArray[np.floating[Any]],
    member: NDArray[np.bool_],
    seed: int,
    delta: float = 0.0,
    confidence: float = 0.95,
) -> EpsilonBound:
    """Return the smallest epsilon that the scores of one target, float [n] with membership bool [n], do not refute.

    (epsilon, delta)-privacy bounds the errors of every attack: 1 - delta - FNR <= exp(epsilon) FPR, and the same
    inequality with FNR and FPR exchanged. A random half of the samples, drawn by `seed`, chooses the threshold. The
    other half bounds FNR and FPR from above, each by Clopper-Pearson at (1 - confidence) / 2. Both inequalities use
    these two limits, so the larger of the two bounds has the given confidence. Choosing and bounding on the same
    samples, as some tools do, overstates the bound.

    The bound is valid where membership is an independent coin per sample and the scores of one sample do not depend on
    the membership of another; a trained model satisfies that only approximately. The order of the samples does not
    matter. Raises BadInput when a half lacks members or non-members.

    Source: P. Kairouz, S. Oh and P. Viswanath, The Composition Theorem for Differential Privacy, ICML 2015 (the two
    inequalities).
    Design choice: the halves and the limits.

    >>> member = np.arange(400) % 2 == 0
    >>> epsilon_lower_bound(member.astype(float), member, seed=0).epsilon > 3
    True
    """
    if not 0 <= delta < 1:
        raise BadInput("delta", delta, "0 to 1, less than 1")
    chosen, bounded = _halves(scores, member, seed)
    tail = (1 - confidence) / 2
    threshold = best_threshold(scores[chosen], member[chosen], delta, tail)
    curve = roc(scores[bounded], member[bounded])
    found = curve.at(threshold)
    _check_counts(found.false_negatives, curve.members, confidence)
    fnr = upper_limits(np.array([found.false_negatives]), curve.members, tail)
    fpr = upper_limits(np.array([found.false_positives]), curve.nonmembers, tail)
    epsilon = max(0.0, float(refuted_epsilon(fnr, fpr, delta)[0]))
    return EpsilonBound(epsilon, delta, confidence, threshold, float(fnr[0]), float(fpr[0]))


def _halves(
    scores: NDArray[np.floating[Any]], member: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return two random halves as int64 indices; samples of equal score and membership are interchangeable."""
    canonical = np.lexsort((member, scores))
    shuffled = canonical[stream(seed, "halves for epsilon").permutation(len(canonical))]
    halves = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
    for half in halves:
        fewest = min(int(member[half].sum()), int((~member[half]).sum()))
        if fewest < _MIN_PER_HALF:
            allowed = f"{_MIN_PER_HALF} members and as many non-members or more"
            raise BadInput("member", f"a half with {fewest} of a class", allowed)
    return halves


def best_threshold(scores: NDArray[Any], member: NDArray[np.bool_], delta: float, tail: float) -> float:
    """Return the threshold with the largest bound on these samples, the highest of equal ones.

    `scores` float and `member` bool are [n]; `tail` is the error probability of each limit.
    """
    curve = roc(scores, member)
    fnr = upper_limits(curve.members - curve.true_positives, curve.members, tail)
    fpr = upper_limits(curve.false_positives, curve.nonmembers, tail)
    return float(curve.thresholds[int(np.argmax(refuted_epsilon(fnr, fpr, delta)))])


def refuted_epsilon(fnr: NDArray[np.float64], fpr: NDArray[np.float64], delta: float) -> NDArray[np.float64]:
    """Return the epsilon that upper limits of FNR and FPR refute, float64 [n]; minus infinity for none."""
    with np.errstate(divide="ignore"):
        either = [np.log(np.maximum(1 - delta - a, 0.0)) - np.log(b) for a, b in ((fnr, fpr), (fpr, fnr))]
    return np.asarray(np.maximum(*either))


def upper_limits(successes: NDArray[np.int64], trials: int, tail: float) -> NDArray[np.float64]:
    """Return upper Clopper-Pearson limits of a share, float64 [n], each exceeded with probability `tail` at most."""
    from scipy.special import betaincinv

    limits = np.ones(len(successes))
    some = successes < trials
    limits[some] = betaincinv(successes[some] + 1, trials - successes[some], 1 - tail)  # the quantile of a beta
    return limits


def _check_counts(successes: int, trials: int, confidence: float) -> None:
    if not 0 <= successes <= trials or trials < 1:
        raise BadInput("successes", f"{successes} of {trials}", "0 to the number of trials, of 1 or more")
    if not 0 < confidence < 1:
        raise BadInput("confidence", confidence, "between 0 and 1")
