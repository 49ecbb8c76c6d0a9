"""Scale of the logits: attacks that do not depend on it, and exact orders of predictions at any scale."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import view_game
from hwsim.privacy.attack_tools.log_entropy import log_softmax
from hwsim.privacy.attacks.classifier.ml_leaks_3 import MlLeaks3
from hwsim.privacy.attacks.metric.attack_p import AttackP
from hwsim.privacy.attacks.metric.entropy import Entropy
from hwsim.privacy.attacks.metric.loss import Loss
from hwsim.privacy.attacks.metric.modified_entropy import ModifiedEntropy
from hwsim.privacy.attacks.metric.yeom_bounded import YeomBounded
from hwsim.privacy.attacks.metric.yeom_threshold import YeomThreshold
from hwsim.privacy.attacks.reference.base import Base
from hwsim.privacy.attacks.reference.quantile_regression import QuantileRegression
from hwsim.privacy.attacks.reference.rmia import Rmia
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.channels.outputs import softmax
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import scores_of

Game = tuple[np.ndarray, np.ndarray, np.ndarray]

FREE_OF_SCALE = (Rmia(), Base(), Rmia(mode="offline"), Base(mode="offline"), QuantileRegression())
"""Attacks whose scores do not change when all logits of all models are multiplied by one number."""


def confident_game(models: int = 8, samples: int = 300, step: float = 0.0) -> Game:
    """Return logits of models that are sure of their members, memberships and labels."""
    rng = np.random.default_rng(0)
    keep, labels = balanced_keep(models, samples, seed=0), rng.integers(5, size=samples)
    logits = 3 * rng.normal(size=(samples, 5)) + rng.normal(size=(models, samples, 5))
    logits[:, np.arange(samples), labels] += 4 + 2 * keep
    return (step * np.round(logits / step) if step else logits), keep, labels


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(row, k).auc for row, k in zip(scores, keep, strict=True)]))


def observe(logits: np.ndarray) -> dict[str, np.ndarray]:
    inputs = np.random.default_rng(1).normal(size=(logits.shape[1], 3))
    return {"logits": logits, "inputs": np.broadcast_to(inputs, (len(logits), *inputs.shape))}


@pytest.mark.parametrize("attack", FREE_OF_SCALE, ids=lambda a: a.label)
@pytest.mark.parametrize("step", [0.0, 0.25])
def test_a_factor_of_two_in_all_logits_changes_no_score(attack: Attack, step: float) -> None:
    logits, keep, labels = confident_game(step=step)
    scores = scores_of(attack, observe(logits), keep, labels)
    for factor in (0.25, 0.5, 2.0, 4.0):
        np.testing.assert_allclose(
            scores_of(attack, observe(factor * logits), keep, labels), scores, rtol=1e-9, atol=1e-12
        )


@settings(deadline=None, max_examples=8)
@given(st.floats(1e-3, 1e3))
def test_no_factor_changes_the_auc_of_rmia_and_base(factor: float) -> None:
    logits, keep, labels = confident_game()
    for attack in (Rmia(), Base()):
        plain, scaled = (
            mean_auc(scores_of(attack, {"logits": z}, keep, labels), keep) for z in (logits, factor * logits)
        )
        assert scaled == pytest.approx(plain, abs=1e-4)


def test_integers_without_their_scale_give_the_auc_of_the_logits() -> None:
    """Four-bit outputs: their unit is a third of a logit."""
    logits, keep, labels = confident_game()
    codes = np.clip(np.round(logits * 3), -8, 7)
    for attack in (Rmia(), Base()):
        found = [mean_auc(scores_of(attack, {"logits": z}, keep, labels), keep) for z in (codes, codes / 3)]
        assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_the_temperature_is_chosen_recorded_and_can_be_given() -> None:
    """Sure models: at temperature 1 most probabilities are close to one, and the order suffers."""
    logits, keep, labels = confident_game(models=16)
    view = view_game({"logits": 4 * logits}, keep, labels, [3, 1, 2])
    for attack in (Rmia(), Base()):
        scores, choices = attack.scored(view)
        assert list(choices) == ["temperature"]
        (chosen,) = choices.values()
        assert chosen.shape == (3,) and (chosen > 1).all()
        given_one = type(attack)(temperature=1.0).scored(view)
        assert given_one[1]["temperature"].tolist() == [1.0] * 3
        for row, t in enumerate([3, 1, 2]):
            assert roc(scores[row], keep[t]).auc > roc(given_one[0][row], keep[t]).auc
        same = type(attack)(temperature=float(chosen[0])).scores(view)
        np.testing.assert_array_equal(same[0], scores[0])


def exact_order(logits: np.ndarray, labels: np.ndarray, of: Callable[..., object]) -> np.ndarray:
    """Return the ranks of a statistic of the probabilities, in arithmetic of 400 digits."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(400):
        values = []
        for z, y in zip(logits, labels, strict=True):
            weights = [mpmath.exp(mpmath.mpf(float(v)) - float(z.max())) for v in z]
            p = [w / mpmath.fsum(weights) for w in weights]
            # 1 - p from the other probabilities
            q = [mpmath.fsum(v for j, v in enumerate(p) if j != k) for k in range(len(p))]
            values.append(of(p, q, y, mpmath))
        return np.argsort([sum(v < w for v in values) for w in values], kind="stable")


def loss(p: list, q: list, y: int, m: object) -> object:
    return -m.log1p(-q[y]) if q[y] < 0.5 else -m.log(p[y])  # type: ignore[attr-defined]


def entropy(p: list, q: list, y: int, m: object) -> object:
    return m.fsum(v * (-m.log1p(-w) if w < 0.5 else -m.log(v)) for v, w in zip(p, q, strict=True))  # type: ignore[attr-defined]


def modified_entropy(p: list, q: list, y: int, m: object) -> object:
    return entropy([q[y]], [p[y]], 0, m) * 0 + m.fsum(  # type: ignore[attr-defined]
        (q[k] * loss(p, q, k, m)) if k == y else (p[k] * loss(q, p, k, m)) for k in range(len(p))
    )


def largest(p: list, q: list, y: int, m: object) -> object:
    return min(q)


def impurity(p: list, q: list, y: int, m: object) -> object:
    return m.fsum(v * w for v, w in zip(p, q, strict=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "attack, of",
    [
        (Loss(), loss),
        (AttackP(), loss),
        (YeomBounded(bound=1e9), loss),
        (Entropy(), entropy),
        (ModifiedEntropy(), modified_entropy),
        (MlLeaks3(), largest),
        (MlLeaks3(statistic="entropy"), entropy),
        (MlLeaks3(statistic="std"), impurity),
    ],
    ids=lambda value: getattr(value, "label", value.__name__ if callable(value) else None),
)
def test_predictions_have_their_exact_order_at_any_scale(
    attack: Attack, of: Callable[..., object], scale: float
) -> None:
    """At 1e4 a third of the losses is below any float: as numbers they would tie."""
    logits, keep, labels = confident_game(models=4, samples=60)
    z = np.round(scale * logits * 64) / 64
    observed = {"logits": z, "probabilities": softmax(z), "log_probabilities": log_softmax(z)}
    scores = scores_of(attack, observed, keep, labels, [0])[0]
    assert len(np.unique(scores)) == 60
    assert np.argsort(-scores).tolist() == exact_order(z[0], labels, of).tolist()


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e5])
def test_the_mean_training_loss_separates_at_any_scale(scale: float) -> None:
    """Losses of exp(-1000) and less: the mean of the largest ones decides, as it does for losses of one."""
    logits, keep, labels = confident_game()
    bits = scores_of(YeomThreshold(), {"logits": scale * logits}, keep, labels)
    assert 0 < bits.mean() < 1
