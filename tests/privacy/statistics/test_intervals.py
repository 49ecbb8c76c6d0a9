from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from hwsim.errors import BadInput
from hwsim.privacy.statistics.intervals import clopper_pearson, epsilon_lower_bound, rates_at


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 50), (499, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_interval_is_scipys_exact_one(successes: int, trials: int, confidence: float) -> None:
    found = clopper_pearson(successes, trials, confidence)
    theirs = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    assert tuple(found) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_the_interval_covers_at_least_as_often_as_it_says() -> None:
    """The exact probability of covering a share, summed over all outcomes of 40 trials."""
    intervals = [clopper_pearson(k, 40) for k in range(41)]
    for share in (0.01, 0.1, 0.37, 0.5, 0.93):
        chance = sum(
            math.comb(40, k) * share**k * (1 - share) ** (40 - k)
            for k, (low, high) in enumerate(intervals)
            if low <= share <= high
        )
        assert chance >= 0.95


def test_rates_at_a_threshold_fixed_beforehand() -> None:
    scores, member = np.array([5.0, 4.0, 4.0, 3.0, 2.0, 1.0]), np.array([1, 1, 0, 1, 0, 0], dtype=bool)
    found = rates_at(scores, member, threshold=4.0)
    assert (found.tpr, found.fpr) == (2 / 3, pytest.approx(1 / 3))
    assert found.tpr_interval == clopper_pearson(2, 3)
    assert found.fpr_interval == clopper_pearson(1, 3)


def randomized_response(epsilon: float, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of randomized response: (epsilon, 0)-private, correct exp(epsilon) times as often as wrong."""
    rng = np.random.default_rng([11, seed])
    member = rng.random(samples) < 0.5
    flipped = rng.random(samples) < 1 / (1 + math.exp(epsilon))
    return np.asarray(member ^ flipped, dtype=np.float64), member


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_the_bound_holds_for_a_private_mechanism(epsilon: float) -> None:
    repetitions = 400
    covered = 0
    for seed in range(repetitions):
        scores, member = randomized_response(epsilon, 300, seed)
        scores = scores + np.random.default_rng([12, seed]).random(300)  # many thresholds without information
        covered += epsilon_lower_bound(scores, member, seed).epsilon <= epsilon
    assert covered >= 0.95 * repetitions


def test_choosing_the_threshold_on_the_samples_that_bound_it_would_overstate_the_bound() -> None:
    """The same bound without halves fails in 29 of 200 repetitions, where 10 are allowed; with halves in none."""
    from hwsim.privacy.statistics import intervals

    failed = 0
    for seed in range(200):
        scores, member = randomized_response(2.0, 2000, seed)
        scores = scores + np.random.default_rng([12, seed]).random(2000)
        threshold = intervals.best_threshold(scores, member, 0.0, 0.025)
        found = intervals.roc(scores, member).at(threshold)
        fnr = intervals.upper_limits(np.array([found.false_negatives]), int(member.sum()), 0.025)
        fpr = intervals.upper_limits(np.array([found.false_positives]), int((~member).sum()), 0.025)
        failed += intervals.refuted_epsilon(fnr, fpr, 0.0)[0] > 2.0
    assert failed > 0.1 * 200


def test_the_bound_comes_close_with_many_samples_and_finds_a_planted_leak() -> None:
    scores, member = randomized_response(1.0, 40_000, seed=0)
    assert 0.9 < epsilon_lower_bound(scores, member, seed=0).epsilon <= 1.0
    rng = np.random.default_rng(0)
    leak = epsilon_lower_bound(rng.normal(size=2000) + 2.0 * (np.arange(2000) < 1000), np.arange(2000) < 1000, seed=0)
    assert leak.epsilon > 1.0
    assert leak.fpr_high < 0.5


def test_a_leak_of_non_members_alone_is_found_by_the_mirrored_inequality() -> None:
    member = np.arange(4000) < 2000
    scores = np.where(member, 1.0, np.where(np.arange(4000) % 4 == 0, 0.0, 1.0))
    bound = epsilon_lower_bound(scores, member, seed=0)
    assert bound.epsilon > 4
    assert math.log((1 - bound.fnr_high) / bound.fpr_high) < 0.5


def test_delta_weakens_the_bound() -> None:
    scores, member = randomized_response(2.0, 2000, seed=1)
    bounds = [epsilon_lower_bound(scores, member, seed=0, delta=delta).epsilon for delta in (0.0, 0.1, 0.5)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[2]


def test_the_order_of_the_samples_does_not_matter() -> None:
    scores, member = randomized_response(1.0, 500, seed=2)
    order = np.random.default_rng(0).permutation(500)
    assert epsilon_lower_bound(scores, member, seed=3) == epsilon_lower_bound(scores[order], member[order], seed=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: clopper_pearson(3, 2), "successes: got 3 of 2"),
        (lambda: clopper_pearson(1, 2, confidence=1.0), "confidence: got 1.0"),
        (lambda: epsilon_lower_bound(np.arange(9.0), np.arange(9) < 4, seed=0, delta=1.0), "delta: got 1.0"),
        (lambda: epsilon_lower_bound(np.arange(4.0), np.arange(4) < 2, seed=0), "a half with"),
    ],
)
def test_bad_input_is_refused(call, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        call()
