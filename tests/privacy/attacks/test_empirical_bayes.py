"""LiRA with the gap between IN and OUT models shrunk, and LiRA as released, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwsim.kernels.membership.gap_prior import gap_prior
from hwsim.privacy.attack_tools.likelihood_ratio import Variance, offline_lira_score, online_lira_score
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import membership_view


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(row, k).auc for row, k in zip(scores, keep, strict=True)]))


def plain_prior(gaps: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Mean and variance of the true gaps by rounds of moments, until they stand still."""
    weights = np.ones(len(gaps))
    for _ in range(200):
        mean = np.sum(weights * gaps) / np.sum(weights)
        variance = max(0.0, np.sum(weights**2 * ((gaps - mean) ** 2 - errors)) / np.sum(weights**2))
        weights = 1 / (variance + errors)
    return float(mean), float(variance)


@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0])
def test_prior_of_the_gaps_against_plain_sums(spread: float) -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.1, 2.0, size=3000)
    gaps = 0.4 + spread * rng.normal(size=3000) + np.sqrt(errors) * rng.normal(size=3000)
    mean, variance = gap_prior(gaps, errors)
    expected = plain_prior(gaps, errors)
    assert mean == pytest.approx(expected[0], rel=1e-6)
    assert variance == pytest.approx(expected[1], rel=1e-6, abs=1e-9)
    order = rng.permutation(3000)
    assert gap_prior(gaps[order], errors[order]) == (mean, variance)
    assert gap_prior(4 * gaps, 16 * errors) == (4 * mean, 16 * variance)


def test_prior_of_one_gap_and_of_none_that_differs() -> None:
    assert gap_prior(np.array([0.7]), np.array([0.1])) == pytest.approx((0.7, 0.0))
    assert gap_prior(np.zeros(5), np.ones(5)) == (0.0, 0.0)


def plain_ratio(x: np.ndarray, keep: np.ndarray, strength: float) -> np.ndarray:
    """The ratio with a loop over everything and the densities of scipy."""
    models, samples = x.shape
    scores = np.zeros(x.shape)
    for t in range(models):
        ring = [(t + step) % models for step in range(1, models)]
        sides = []
        for s in range(samples):
            in_set, out = ([x[m, s] for m in ring if keep[m, s] == side] for side in (True, False))
            n = min(len(in_set), len(out))
            sides.append((np.array(in_set[:n]), np.array(out[:n])))
        n = np.array([len(i) for i, _ in sides])
        means = np.array([[i.mean(), o.mean()] for i, o in sides]).T
        squares = np.array([[((i - i.mean()) ** 2).sum(), ((o - o.mean()) ** 2).sum()] for i, o in sides]).T
        pooled = squares.sum(axis=1) / (n - 1).sum()
        differences = squares[0] - squares[1]
        if abs(differences.sum()) <= 1.96 * np.sqrt((differences**2).sum()):
            freedom = strength + 2 * (n - 1)
            v = np.tile((strength * pooled.mean() + squares.sum(axis=0)) / freedom, (2, 1))
        else:
            freedom = strength + n - 1
            v = (strength * pooled[:, None] + squares) / freedom
        gap, error = means[0] - means[1], v.sum(axis=0) / n
        d0, tau2 = plain_prior(gap, error)
        kept = tau2 / (tau2 + error)
        shrunk = d0 + kept * (gap - d0)
        precision = n / v
        center = ((means[0] - shrunk / 2) * precision[0] + (means[1] + shrunk / 2) * precision[1]) / precision.sum(
            axis=0
        )
        uncertain = 1 / precision.sum(axis=0) + kept * error / 4
        scores[t] = stats.t.logpdf(x[t], freedom, center + shrunk / 2, np.sqrt(v[0] + uncertain)) - stats.t.logpdf(
            x[t], freedom, center - shrunk / 2, np.sqrt(v[1] + uncertain)
        )
    return scores


@pytest.mark.parametrize("models", [6, 10])
@pytest.mark.parametrize("in_spread", [1.0, 4.0])
def test_empirical_bayes_against_a_plain_loop(models: int, in_spread: float) -> None:
    """With one common variance, and with one of IN and one of OUT models."""
    rng = np.random.default_rng(3)
    keep = balanced_keep(models, 60, seed=0)
    x = rng.normal(size=keep.shape) * np.where(keep, in_spread, 1.0) + keep * rng.normal(1.0, 0.5, size=60)
    got = online_lira_score(x, membership_view(keep), "empirical_bayes", 3.0)
    np.testing.assert_allclose(got, plain_ratio(x, keep, 3.0), rtol=1e-6, atol=1e-6)


def test_it_finds_a_weak_leak_that_the_other_rules_lose() -> None:
    """A gap of 0.3 deviations, the same for all samples: 15 models measure it badly sample by sample."""
    rng = np.random.default_rng(4)
    for models in (8, 16):
        keep = balanced_keep(models, 2000, seed=1)
        x = 2 * rng.normal(size=2000) + rng.normal(size=keep.shape) + 0.3 * keep
        rules: tuple[Variance, ...] = ("empirical_bayes", "shrinkage")
        best, other = (mean_auc(online_lira_score(x, membership_view(keep), rule), keep) for rule in rules)
        assert best > other + 0.03


def test_with_four_models_it_is_the_shrinkage() -> None:
    keep = balanced_keep(4, 100, seed=2)
    x, view = np.random.default_rng(5).normal(size=keep.shape) + keep, membership_view(keep)
    np.testing.assert_array_equal(online_lira_score(x, view), online_lira_score(x, view, "shrinkage"))
    np.testing.assert_array_equal(offline_lira_score(x, view), offline_lira_score(x, view, "shrinkage"))


def test_it_finds_nothing_in_null_games() -> None:
    rng = np.random.default_rng(6)
    aucs = []
    for seed in range(12):
        keep = balanced_keep(8, 1000, seed)
        x = 2 * rng.normal(size=1000) + rng.normal(size=keep.shape)
        aucs.append(mean_auc(online_lira_score(x, membership_view(keep)), keep))
    assert abs(np.mean(aucs) - 0.5) < 4 * np.std(aucs) / np.sqrt(12)
    assert np.std(aucs) < 0.015


# --- LiRA as released


def released(x: np.ndarray, keep: np.ndarray, target: int, fixed: bool, online: bool) -> np.ndarray:
    """The released code in our words: one list per sample, cut to the shortest, medians, one deviation if fixed."""
    rows = [m for m in range(len(x)) if m != target]
    lists = {side: [[x[m, s] for m in rows if keep[m, s] == side] for s in range(x.shape[1])] for side in (True, False)}
    cut = {side: np.array([v[: min(map(len, of))] for v in of]) for side, of in lists.items()}
    centers = {side: np.median(v, axis=1) for side, v in cut.items()}
    if not online:
        spread = cut[False].std() if fixed else cut[False].std(axis=1)
        return -stats.norm.logpdf(x[target], centers[False], spread + 1e-30)
    spreads = {side: cut[True].std() if fixed else cut[side].std(axis=1) for side in (True, False)}
    log_in, log_out = (stats.norm.logpdf(x[target], centers[side], spreads[side] + 1e-30) for side in (True, False))
    return log_in - log_out


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("balanced", [True, False])
def test_the_released_code_gives_the_same_scores(fixed: bool, balanced: bool) -> None:
    rng = np.random.default_rng(7)
    keep = (
        balanced_keep(10, 80, seed=3)
        if balanced
        else np.concatenate([balanced_keep(6, 80, 3), rng.random((5, 80)) < 0.4])
    )
    x = rng.normal(size=keep.shape) * rng.uniform(0.5, 2, size=80) + keep
    view = membership_view(keep)
    variance: Variance = "released" if fixed else "released_per_point"
    online, offline = online_lira_score(x, view, variance), offline_lira_score(x, view, variance)
    for target in range(len(keep)):
        np.testing.assert_allclose(
            online[target], released(x, keep, target, fixed, online=True), rtol=1e-11, atol=1e-11
        )
        np.testing.assert_allclose(offline[target], released(x, keep, target, fixed, online=False), rtol=1e-11)


def test_its_offline_modes_are_the_released_two_sided_score() -> None:
    assert Lira(mode="offline", variance="released").label == "lira_offline_released"
    keep = balanced_keep(8, 50, seed=4)
    x, view = np.random.default_rng(8).normal(size=keep.shape), membership_view(keep)
    one, two = (offline_lira_score(x, view, "released", two_sided=side) for side in (False, True))
    np.testing.assert_array_equal(one, two)
