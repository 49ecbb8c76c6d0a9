"""Quantile regression: the margin of a non-member, predicted from the sample."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.log_odds import label_margin
from hwsim.privacy.attacks.reference.quantile_regression import (
    QuantileRegression,
    cholesky,
    cholesky_solve,
)
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.observe import stack
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import planted, scores_of

BOTH = [QuantileRegression(), QuantileRegression(population="target")]


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


def two_logits(margins: np.ndarray) -> np.ndarray:
    """Logits of two classes with these margins of class 0."""
    return np.stack([margins, np.zeros_like(margins)], axis=-1)


def heteroscedastic(seed: int, shift: float) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Mean 6 sin(2 x) and deviation exp(x) of a non-member's margin; members `shift` deviations above."""
    rng = np.random.default_rng(seed)
    keep, labels = balanced_keep(8, 600, seed), np.zeros(600, dtype=np.int64)
    x = rng.uniform(-1.5, 1.5, size=(600, 1))
    margins = 6 * np.sin(2 * x[:, 0]) + np.exp(x[:, 0]) * (rng.normal(size=keep.shape) + shift * keep)
    return {"logits": two_logits(margins), "inputs": np.broadcast_to(x, (8, 600, 1))}, keep, labels


def test_the_margin_is_the_label_against_the_best_other() -> None:
    logits = np.array([[3.0, 1.0, 2.5], [0.0, 4.0, 1.0]])
    assert label_margin(logits, np.array([0, 2])).tolist() == [0.5, -3.0]


def test_the_scores_are_deviations_of_non_members() -> None:
    """Known mean and deviation: non-members of the target must come out close to a standard normal everywhere."""
    observed, keep, labels = heteroscedastic(0, shift=2.0)
    scores = scores_of(QuantileRegression(ridge=0.1), observed, keep, labels)
    x = observed["inputs"][0, :, 0]
    for low, high in ((-1.5, -0.5), (-0.5, 0.5), (0.5, 1.5)):
        here = (x >= low) & (x < high)
        nonmembers, members = scores[:, here][~keep[:, here]], scores[:, here][keep[:, here]]
        assert nonmembers.mean() == pytest.approx(0, abs=0.2)
        assert nonmembers.std() == pytest.approx(1, abs=0.2)
        assert members.mean() == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("attack", BOTH, ids=lambda a: a.population)
def test_it_finds_what_one_threshold_for_all_samples_misses(attack: QuantileRegression) -> None:
    observed, keep, labels = heteroscedastic(1, shift=2.0)
    plain = mean_auc(observed["logits"][..., 0], keep)
    assert plain < 0.67
    assert mean_auc(scores_of(attack, observed, keep, labels), keep) > plain + 0.15


@pytest.mark.parametrize("attack", BOTH, ids=lambda a: a.population)
def test_it_finds_a_planted_leak_and_nothing_without_one(attack: QuantileRegression) -> None:
    game, observations = planted(8, 300, seed=0, leak=1.5)
    assert mean_auc(scores_of(attack, stack(observations), game.keep, game.labels), game.keep) > 0.65
    nulls = []
    for seed in range(30):
        observed, keep, labels = heteroscedastic(seed, shift=0.0)
        nulls.append(mean_auc(scores_of(attack, observed, keep, labels), keep))
    assert abs(np.mean(nulls) - 0.5) < 4 * np.std(nulls) / np.sqrt(len(nulls))


@pytest.mark.parametrize("attack", BOTH, ids=lambda a: a.population)
def test_order_targets_and_membership_of_the_target_change_no_bit(attack: QuantileRegression) -> None:
    """Order does not matter, not even among equal samples with different memberships."""
    game, observations = planted(8, 120, seed=2, leak=1.5)
    observed, keep, labels = stack(observations), game.keep, game.labels.copy()
    inputs = observed["inputs"].copy()
    inputs[:, 60:] = inputs[:, :60]  # every sample twice, with memberships of their own
    labels[60:] = labels[:60]
    observed = {"inputs": inputs, "logits": observed["logits"]}
    scores = scores_of(attack, observed, keep, labels)
    np.testing.assert_array_equal(scores_of(attack, observed, keep, labels, targets=[5, 1]), scores[[5, 1]])
    order = np.random.default_rng(0).permutation(120)
    permuted = scores_of(attack, {n: v[:, order] for n, v in observed.items()}, keep[:, order], labels[order])
    np.testing.assert_array_equal(permuted, scores[:, order])
    for target in range(8):
        flipped = keep.copy()
        flipped[target] = ~flipped[target]
        np.testing.assert_array_equal(scores_of(attack, observed, flipped, labels)[target], scores[target])


def test_a_sample_is_scored_by_a_regression_on_the_other_half() -> None:
    """The shadows' margins on a sample change scores of the other half, never its own score."""
    game, observations = planted(8, 100, seed=3, leak=1.0)
    observed = stack(observations)
    scores = scores_of(QuantileRegression(), observed, game.keep, game.labels, targets=[0])[0]
    changed = {n: v.copy() for n, v in observed.items()}
    changed["logits"][1:, 7] += 3.0 * np.arange(5)
    after = scores_of(QuantileRegression(), changed, game.keep, game.labels, targets=[0])[0]
    assert after[7] == scores[7]
    assert 20 < (after != scores).sum() < 80


def test_constant_margins_and_equal_samples() -> None:
    keep = balanced_keep(4, 40, seed=0)
    observed = {"logits": np.zeros((4, 40, 3)), "inputs": np.broadcast_to(np.arange(40.0)[:, None], (4, 40, 1))}
    assert (scores_of(QuantileRegression(), observed, keep, np.zeros(40, dtype=np.int64)) == 0).all()
    observed["inputs"] = np.zeros((4, 40, 1))
    with pytest.raises(BadInput, match="40 samples that are all equal"):
        scores_of(QuantileRegression(), observed, keep, np.zeros(40, dtype=np.int64))


def test_the_solver_against_numpy() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(30, 12))
    matrix, right = a.T @ a + np.eye(12), rng.normal(size=12)
    np.testing.assert_allclose(cholesky_solve(cholesky(matrix), right), np.linalg.solve(matrix, right), rtol=1e-10)
