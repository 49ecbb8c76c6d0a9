"""Cross-fitting and MLPs: a learned attack finds no leak without one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.cross_fitting import (
    AttackTrainingSet,
    LearnedAttack,
    Predictor,
    cross_fitted_scores,
)
from hwsim.privacy.attack_tools.game_view import GameView, Observed, view_game
from hwsim.privacy.attack_tools.mlp import Epochs, MLPConfig, mlp_per_set, train
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import scores_of


class Inputs(LearnedAttack):
    """Base of attacks on features that identify each sample and so allow memorizing it."""

    name = "inputs"
    needs = ("inputs",)

    def features(self, game: GameView) -> NDArray[np.float64]:
        return game.observed["inputs"]


class Memory(Inputs):
    """Scores by the share of members among the rows of the nearest training sample."""

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        return [self._recall(t) for t in training_sets]

    def _recall(self, training_set: AttackTrainingSet) -> Predictor:
        known, which = np.unique(training_set.features[:, 0], return_inverse=True)
        share = np.bincount(which, weights=training_set.member) / np.bincount(which)
        return lambda features, labels: share[np.abs(features[:, :1] - known).argmin(axis=1)]


class Counter(Inputs):
    """Scores every sample by the share of members that it was trained on."""

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        return [self._share(t.member.mean()) for t in training_sets]

    def _share(self, share: float) -> Predictor:
        return lambda features, labels: np.full(len(labels), share)


class Recorder(Inputs):
    """Records its training sets and the features that it predicts on."""

    training_sets: ClassVar[list[AttackTrainingSet]] = []
    predicted: ClassVar[list[NDArray[np.float64]]] = []

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        self.training_sets.extend(training_sets)
        return [self._predict for _ in training_sets]

    def _predict(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        self.predicted.append(features)
        return features[:, 0]


class Net(Inputs):
    """One MLP per training set."""

    epochs: Epochs = 50

    def fit(self, training_sets: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        return mlp_per_set(MLPConfig(epochs=self.epochs), training_sets, rows)


def identities(models: int, samples: int) -> Observed:
    """Return inputs that number the samples, the same for every model."""
    return {"inputs": np.tile(np.arange(samples, dtype=np.float64)[None, :, None], (models, 1, 1))}


def mean_auc(scores: NDArray[np.float64], keep: NDArray[np.bool_]) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


@pytest.mark.parametrize("shadows", [None, 1])
def test_memorizing_samples_finds_nothing(shadows: int | None) -> None:
    """Four models: a member of a shadow is one of the target in one case of three, so memory would score 1/3 or 2/3."""
    aucs = []
    for seed in range(6):
        keep = balanced_keep(4, 400, seed)
        aucs.append(
            mean_auc(scores_of(Memory(shadows=shadows), identities(4, 400), keep, np.zeros(400, np.int64)), keep)
        )
    assert abs(np.mean(aucs) - 0.5) < 0.02


def test_the_share_of_members_in_a_half_has_no_information() -> None:
    """A half with many members of the target has few members of the shadows, which the other half would reveal."""
    for seed in range(5):
        keep = balanced_keep(4, 60, seed)
        scores = scores_of(Counter(), identities(4, 60), keep, np.zeros(60, dtype=np.int64))
        assert mean_auc(scores, keep) == 0.5


def test_an_attack_model_is_not_trained_on_its_samples_nor_on_the_target() -> None:
    Recorder.training_sets.clear()
    Recorder.predicted.clear()
    samples = 30
    seen = identities(6, samples)["inputs"] + 1000 * np.arange(6)[:, None, None]
    scores = scores_of(Recorder(), {"inputs": seen}, balanced_keep(6, samples, 0), np.zeros(samples, np.int64), [2])
    assert len(Recorder.training_sets) == len(Recorder.predicted) == 2
    predicted = np.sort(np.concatenate(Recorder.predicted)[:, 0])
    np.testing.assert_array_equal(predicted, 2000 + np.arange(samples))
    np.testing.assert_array_equal(scores[0], 2000 + np.arange(samples))
    for training_set, predicted_on in zip(Recorder.training_sets, Recorder.predicted, strict=True):
        models, learned_from = np.divmod(training_set.features[:, 0].astype(int), 1000)
        assert set(models) == {0, 1, 3, 4, 5}
        assert not set(learned_from) & set(predicted_on[:, 0] - 2000)
        for sample in set(learned_from):
            member = training_set.member[learned_from == sample]
            assert member.sum() == (~member).sum() == 2


def test_one_shadow_is_the_next_model_in_a_circle() -> None:
    Recorder.training_sets.clear()
    seen = identities(4, 20)["inputs"] + 1000 * np.arange(4)[:, None, None]
    scores_of(Recorder(shadows=1), {"inputs": seen}, balanced_keep(4, 20, 0), np.zeros(20, np.int64), [3])
    assert {int(f // 1000) for t in Recorder.training_sets for f in t.features[:, 0]} == {0}


def test_training_sets_have_at_most_most_rows() -> None:
    Recorder.training_sets.clear()
    scores_of(Recorder(most_rows=50), identities(8, 100), balanced_keep(8, 100, 0), np.zeros(100, np.int64), [0])
    assert [30 <= len(t.member) <= 50 for t in Recorder.training_sets] == [True, True]


def noisy(models: int, samples: int, seed: int) -> tuple[Observed, NDArray[np.bool_], NDArray[np.int64]]:
    """Return a game with a leak in a channel of integers, so that many samples are equal in everything."""
    rng = np.random.default_rng(seed)
    keep = balanced_keep(models, samples, seed)
    seen = rng.integers(2, size=keep.shape) + keep
    return {"inputs": seen[..., None].astype(np.float64)}, keep, rng.integers(2, size=samples)


ATTACKS = [Memory(), Net(epochs=3), Net(epochs=3, shadows=1)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_order_changes_no_bit_even_among_equal_samples(attack: LearnedAttack) -> None:
    observed, keep, labels = noisy(4, 301, 0)
    scores = scores_of(attack, observed, keep, labels)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(301)
        permuted = scores_of(attack, {"inputs": observed["inputs"][:, order]}, keep[:, order], labels[order])
        np.testing.assert_array_equal(permuted, scores[:, order])


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_own_membership_of_the_target_changes_no_bit(attack: LearnedAttack) -> None:
    observed, keep, labels = noisy(6, 50, 1)
    scores = scores_of(attack, observed, keep, labels)
    for target in range(6):
        flipped = keep.copy()
        flipped[target] = ~keep[target]
        np.testing.assert_array_equal(scores_of(attack, observed, flipped, labels, [target])[0], scores[target])


@pytest.mark.parametrize("attack", ATTACKS)
def test_other_targets_and_the_memory_limit_change_no_bit(attack: LearnedAttack) -> None:
    observed, keep, labels = noisy(6, 50, 2)
    scores = scores_of(attack, observed, keep, labels)
    np.testing.assert_array_equal(scores_of(attack, observed, keep, labels, [4, 1]), scores[[4, 1]])
    one_by_one = cross_fitted_scores(attack, view_game(observed, keep, labels), max_numbers=1)
    np.testing.assert_array_equal(one_by_one, scores)


def test_a_shadow_without_non_members_trains_no_attack_model() -> None:
    keep = np.ones((4, 30), dtype=np.bool_)
    assert (scores_of(Net(shadows=1), identities(4, 30), keep, np.zeros(30, dtype=np.int64)) == 0).all()


def test_more_shadows_than_there_are_models_are_refused() -> None:
    with pytest.raises(BadInput, match=r"attack inputs\.shadows: got 4; allowed: 1 to 3"):
        scores_of(Memory(shadows=4), identities(4, 30), balanced_keep(4, 30, 0), np.zeros(30, dtype=np.int64))


def test_the_rarer_class_has_the_weight_of_the_other() -> None:
    rng = np.random.default_rng(1)
    x, member = rng.normal(size=(2000, 2)), rng.random(2000) < 0.05
    assert abs(np.mean(train(MLPConfig(hidden=()), [x], [member], [0], 2000).log_odds(0, x))) < 0.5


def test_constant_and_far_features_stay_finite() -> None:
    x = np.array([[7.0, 0.0], [7.0, 1e300], [7.0, 1.0], [7.0, -1e300]]) / 1e160
    stack = train(MLPConfig(), [x], [np.array([True, False, True, False])], [0], 4)
    assert np.isfinite(stack.log_odds(0, np.array([[1e300, -1e300], [0.0, 0.0]]))).all()


def test_mlps_of_a_stack_are_independent() -> None:
    rng = np.random.default_rng(2)
    x = [rng.normal(size=(n, 3)) for n in (40, 60, 25)]
    member = [rng.random(len(a)) < 0.5 for a in x]
    stack = train(MLPConfig(epochs=4), x, member, [5, 6, 7], rows=40)
    for i in range(3):
        alone = train(MLPConfig(epochs=4), [x[i]], [member[i]], [5 + i], rows=40)
        np.testing.assert_array_equal(alone.log_odds(0, x[0]), stack.log_odds(i, x[0]))


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(3)
    x, member = rng.normal(size=(700, 11)), rng.random(700) < 0.5
    config = MLPConfig(hidden=(512, 128), batch=256, epochs=2)
    seen = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            seen.append(train(config, [x], [member], [0], 700).log_odds(0, x))
    np.testing.assert_array_equal(*seen)


def test_seeds_make_different_mlps() -> None:
    x = np.random.default_rng(4).normal(size=(50, 3))
    stack = train(MLPConfig(epochs=2), [x, x, x], [x[:, 0] > 0] * 3, [0, 0, 1], 50)
    a, b, c = (stack.log_odds(i, x) for i in range(3))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_training_sets_of_targets_and_halves_have_different_seeds() -> None:
    Recorder.training_sets.clear()
    scores_of(Recorder(), identities(4, 20), balanced_keep(4, 20, 0), np.zeros(20, dtype=np.int64))
    seeds = sorted(t.seed for t in Recorder.training_sets)
    assert len(seeds) == 8
    assert all(a < b for a, b in pairwise(seeds))
