"""Scores of metric attacks and of LiRA against plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from hwsim.errors import BadInput, HwsimError
from hwsim.privacy.attack_tools.likelihood_ratio import Variance, online_lira_score
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attacks.classifier.ml_leaks_3 import MlLeaks3
from hwsim.privacy.attacks.hardware.joint import Joint
from hwsim.privacy.attacks.metric.entropy import Entropy
from hwsim.privacy.attacks.metric.gap import Gap
from hwsim.privacy.attacks.metric.loss import Loss
from hwsim.privacy.attacks.metric.modified_entropy import ModifiedEntropy
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.channels.outputs import softmax
from hwsim.privacy.observation.observe import stack
from hwsim.registry import build
from tests.support.planted import membership_view, planted, scores_of


@pytest.mark.parametrize("top", [120.0, 60.0])
def test_log_odds_do_not_saturate(top: float) -> None:
    """log p_y of these logits rounds to zero, from which p / (1 - p) cannot be recovered."""
    phi = log_odds(np.array([[top, 0.0, 0.0]]), np.array([0]))
    assert phi[0] == top - math.log(2)


def test_log_odds_against_scipy() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(scale=30, size=(200, 7)), rng.integers(7, size=200)
    expected = [z[y] - special.logsumexp(np.delete(z, y)) for z, y in zip(logits, labels, strict=True)]
    np.testing.assert_allclose(log_odds(logits, labels), expected, rtol=1e-13)


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(BadInput, match="labels: got 0 to 3"):
        log_odds(np.zeros((2, 3)), np.array([0, 3]))


def test_threshold_attacks_against_their_formulas() -> None:
    rng = np.random.default_rng(1)
    z, labels = rng.normal(size=(1, 100, 4)), rng.integers(4, size=100)
    p = softmax(z)[0]
    observed = {"logits": z, "probabilities": p[None], "label": p[None].argmax(-1)}
    keep = np.zeros((1, 100), dtype=bool)
    own = p[np.arange(100), labels]
    others = p * np.log(1 - p)
    mentr = -(1 - own) * np.log(own) - (others.sum(axis=1) - others[np.arange(100), labels])
    entropy = -(p * np.log(p)).sum(axis=1)
    np.testing.assert_allclose(scores_of(Loss(), observed, keep, labels)[0], np.log(own / (1 - own)), atol=1e-12)
    for extra in ({}, {"log_probabilities": np.log(p)[None]}):
        scores = scores_of(Entropy(), observed | extra, keep, labels)[0]
        np.testing.assert_allclose(scores, -np.log(entropy), rtol=1e-12)
    np.testing.assert_allclose(scores_of(ModifiedEntropy(), observed, keep, labels)[0], -np.log(mentr), rtol=1e-12)
    for statistic, small in (("max", 1 - p.max(axis=1)), ("entropy", entropy), ("std", 1 - (p**2).sum(axis=1))):
        scores = scores_of(MlLeaks3(statistic=statistic), observed, keep, labels)[0]
        np.testing.assert_allclose(scores, -np.log(small), rtol=1e-12, atol=1e-12)
    assert (scores_of(Gap(), observed, keep, labels)[0] == (p.argmax(axis=1) == labels)).all()


def test_losses_of_confident_predictions_stay_different() -> None:
    logits = np.array([[[100.0, 0.0], [120.0, 0.0]]])
    scores = scores_of(Loss(), {"logits": logits}, np.zeros((1, 2), dtype=bool), np.zeros(2, dtype=np.int64))[0]
    assert scores.tolist() == [100, 120]


def test_modified_entropy_orders_confident_predictions() -> None:
    logits = np.array([[[40.0, 0.0], [60.0, 0.0], [0.0, 60.0], [700.0, 0.0], [9e5, 0.0]]])
    scores = scores_of(
        ModifiedEntropy(), {"logits": logits}, np.zeros((1, 5), dtype=bool), np.zeros(5, dtype=np.int64)
    )[0]
    assert scores[2] < scores[0] < scores[1] < scores[3] < scores[4] < np.inf


def plain_log_ratio(x: np.ndarray, keep: np.ndarray, variance: Variance, strength: float) -> np.ndarray:
    """The likelihood ratio with a loop over everything and the densities of scipy."""
    models, samples = x.shape
    scores = np.zeros(x.shape)
    for t in range(models):
        ring = [(t + step) % models for step in range(1, models)]
        sets = []
        for s in range(samples):
            in_set, out = ([x[m, s] for m in ring if keep[m, s] == side] for side in (True, False))
            n = min(len(in_set), len(out))
            sets.append((in_set[:n], out[:n]))
        pooled = [
            sum(np.sum((np.array(side[i]) - np.mean(side[i])) ** 2) for side in sets)
            / sum(len(side[i]) - 1 for side in sets)
            for i in (0, 1)
        ]
        for s in range(samples):
            densities = []
            for i in (0, 1):
                shadows = np.array(sets[s][i])
                n, mean = len(shadows), shadows.mean()
                if variance == "shrinkage":
                    freedom = strength + n - 1
                    squares = np.sum((shadows - mean) ** 2)
                    scale = np.sqrt((strength * pooled[i] + squares) / freedom * (1 + 1 / n))
                    densities.append(stats.t.logpdf(x[t, s], freedom, mean, scale))
                else:
                    own = pooled[i] if variance == "pooled" else shadows.var(ddof=1)
                    densities.append(stats.norm.logpdf(x[t, s], mean, np.sqrt(own)))
            scores[t, s] = densities[0] - densities[1]
    return scores


@pytest.mark.parametrize("variance", ["shrinkage", "pooled", "per_point"])
@pytest.mark.parametrize("models", [6, 10])
def test_likelihood_ratio_against_a_plain_loop(variance: Variance, models: int) -> None:
    rng = np.random.default_rng(2)
    keep = balanced_keep(models, 12, seed=0)
    x = rng.normal(size=keep.shape) * rng.uniform(0.2, 3, size=12) + keep
    np.testing.assert_allclose(
        online_lira_score(x, membership_view(keep), variance, 3.0),
        plain_log_ratio(x, keep, variance, 3.0),
        rtol=1e-7,
        atol=1e-7,
    )


def test_the_sizes_of_the_sets_do_not_reveal_the_membership() -> None:
    """Noise alone, 6 models: with sets of unequal size the mean score of members would differ."""
    keep = balanced_keep(6, 20_000, seed=1)
    scores = online_lira_score(np.random.default_rng(3).normal(size=keep.shape), membership_view(keep))
    gap = scores[keep].mean() - scores[~keep].mean()
    assert abs(gap) < 4 * scores.std() * np.sqrt(2 / keep.sum())


@pytest.mark.parametrize("value", [0.1, 123456.7])
def test_a_channel_without_difference_scores_exactly_zero(value: float) -> None:
    keep = balanced_keep(8, 30, seed=0)
    per_sample = value * np.arange(1, 31)
    for variance in ("empirical_bayes", "shrinkage", "pooled", "per_point", "released"):
        assert (online_lira_score(np.tile(per_sample, (8, 1)), membership_view(keep), variance) == 0).all()


def test_a_channel_that_is_the_membership_itself_stays_finite() -> None:
    keep = balanced_keep(8, 30, seed=0)
    scores = online_lira_score(keep.astype(np.int64), membership_view(keep))
    assert np.isfinite(scores).all()
    assert scores[keep].min() > scores[~keep].max()


def test_shadow_attacks_need_three_models() -> None:
    with pytest.raises(BadInput, match=r"game\.models: got 2; allowed: 3 or more for an attack with shadow models"):
        online_lira_score(np.zeros((2, 9)), membership_view(np.zeros((2, 9), dtype=bool)))


def test_scaling_the_logits_of_all_models_changes_nothing_much() -> None:
    """Matched shadows pass through the same transformation as the target."""
    game, observations = planted(16, 200, seed=6, leak=2.0)
    phi, view = log_odds(stack(observations)["logits"], game.labels), membership_view(game.keep)
    np.testing.assert_allclose(online_lira_score(0.25 * phi, view), online_lira_score(phi, view), rtol=1e-9, atol=1e-9)


def test_labels_name_what_differs_from_the_defaults() -> None:
    assert Lira(variance="pooled").label == "lira_pooled"
    assert Lira(prior_strength=2.5).label == "lira_prior_strength_2_5"
    assert Joint(channels=("logits", "energy_pj")).label == "joint_logits_energy_pj"


@pytest.mark.parametrize("channels", [[], ["logits", "logits"], ["logit"]])
def test_joint_refuses_channels_that_it_cannot_use(channels: list[str]) -> None:
    with pytest.raises(HwsimError, match=r"attack\.channels"):
        build("attack", "joint", channels=channels)
