"""Cross-fitting and the small networks: what keeps a learned attack from finding a leak where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools import cross_fitting
from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.mlp import MLPConfig, train
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc


class Inputs(LearnedAttack):
    """Sees what makes a sample unlike any other, and so could learn each by heart."""

    name = "inputs"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("inputs",)

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        return observed["inputs"]


class Memory(Inputs):
    """Recalls how often the nearest sample that it was trained on was a member."""

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        return [self._recall(lesson) for lesson in lessons]

    def _recall(self, lesson: AttackTrainingSet) -> Predictor:
        known, which = np.unique(lesson.features[:, 0], return_inverse=True)
        share = np.bincount(which, weights=lesson.member) / np.bincount(which)
        return lambda features, labels: share[np.abs(features[:, :1] - known).argmin(axis=1)]


class Counter(Inputs):
    """Scores every sample by the share of members that it was trained on."""

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        return [self._share(lesson.member.mean()) for lesson in lessons]

    def _share(self, share: float) -> Predictor:
        return lambda features, labels: np.full(len(labels), share)


class Recorder(Inputs):
    """Keeps its lessons and what it was asked."""

    lessons: ClassVar[list[AttackTrainingSet]] = []
    asked: ClassVar[list[NDArray[np.float64]]] = []

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        self.lessons.extend(lessons)
        return [self._answer for _ in lessons]

    def _answer(self, features: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        self.asked.append(features)
        return features[:, 0]


class Net(MLPConfig, Inputs):
    """One network per lesson."""

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        networks = train(
            self, [x.features for x in lessons], [x.member for x in lessons], [x.seed for x in lessons], rows
        )
        return [lambda x, y, i=i: networks.log_odds(i, x) for i in range(len(lessons))]


def identities(models: int, samples: int) -> Observed:
    """Every sample has a number of its own, every model sees the same."""
    return {"inputs": np.tile(np.arange(samples, dtype=np.float64)[None, :, None], (models, 1, 1))}


def mean_auc(scores: NDArray[np.float64], keep: NDArray[np.bool_]) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


@pytest.mark.parametrize("shadows", [None, 1])
def test_learning_samples_by_heart_finds_nothing(shadows: int | None) -> None:
    """Four models: who is in a shadow is in the target in one case of three, so a memory would score 1/3 or 2/3."""
    aucs = []
    for seed in range(6):
        keep = balanced_keep(4, 400, seed)
        aucs.append(mean_auc(Memory(shadows=shadows).scores(identities(4, 400), keep, np.zeros(400, np.int64)), keep))
    assert abs(np.mean(aucs) - 0.5) < 0.02


def test_the_share_of_members_in_a_half_says_nothing() -> None:
    """A half with many members of the target has few among the shadows, and lends that to the other half."""
    for seed in range(5):
        keep = balanced_keep(4, 60, seed)
        scores = Counter().scores(identities(4, 60), keep, np.zeros(60, dtype=np.int64))
        assert mean_auc(scores, keep) == 0.5


def test_what_scores_a_sample_never_saw_it_nor_the_target() -> None:
    Recorder.lessons.clear()
    Recorder.asked.clear()
    samples = 30
    seen = identities(6, samples)["inputs"] + 1000 * np.arange(6)[:, None, None]
    scores = Recorder().scores({"inputs": seen}, balanced_keep(6, samples, 0), np.zeros(samples, np.int64), [2])
    assert len(Recorder.lessons) == len(Recorder.asked) == 2
    asked = np.sort(np.concatenate(Recorder.asked)[:, 0])
    np.testing.assert_array_equal(asked, 2000 + np.arange(samples))
    np.testing.assert_array_equal(scores[0], 2000 + np.arange(samples))
    for lesson, questions in zip(Recorder.lessons, Recorder.asked, strict=True):
        models, learned_from = np.divmod(lesson.features[:, 0].astype(int), 1000)
        assert set(models) == {0, 1, 3, 4, 5}
        assert not set(learned_from) & set(questions[:, 0] - 2000)
        for sample in set(learned_from):
            assert lesson.member[learned_from == sample].sum() == (~lesson.member[learned_from == sample]).sum() == 2


def test_one_shadow_is_the_next_model_in_a_circle() -> None:
    Recorder.lessons.clear()
    seen = identities(4, 20)["inputs"] + 1000 * np.arange(4)[:, None, None]
    Recorder(shadows=1).scores({"inputs": seen}, balanced_keep(4, 20, 0), np.zeros(20, np.int64), [3])
    assert {int(f // 1000) for lesson in Recorder.lessons for f in lesson.features[:, 0]} == {0}


def test_most_rows_is_kept() -> None:
    Recorder.lessons.clear()
    Recorder(most_rows=50).scores(identities(8, 100), balanced_keep(8, 100, 0), np.zeros(100, np.int64), [0])
    assert [30 <= len(lesson.member) <= 50 for lesson in Recorder.lessons] == [True, True]


def noisy(models: int, samples: int, seed: int) -> tuple[Observed, NDArray[np.bool_], NDArray[np.int64]]:
    """A leak in a channel of whole numbers, so that many samples are alike in everything."""
    rng = np.random.default_rng(seed)
    keep = balanced_keep(models, samples, seed)
    seen = rng.integers(2, size=keep.shape) + keep
    return {"inputs": seen[..., None].astype(np.float64)}, keep, rng.integers(2, size=samples)


ATTACKS = [Memory(), Net(epochs=3), Net(epochs=3, shadows=1)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_order_changes_no_bit_even_among_samples_that_are_alike(attack: LearnedAttack) -> None:
    observed, keep, labels = noisy(4, 301, 0)
    scores = attack.scores(observed, keep, labels)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(301)
        moved = attack.scores({"inputs": observed["inputs"][:, order]}, keep[:, order], labels[order])
        np.testing.assert_array_equal(moved, scores[:, order])


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_own_membership_of_the_target_changes_no_bit(attack: LearnedAttack) -> None:
    observed, keep, labels = noisy(6, 50, 1)
    scores = attack.scores(observed, keep, labels)
    for target in range(6):
        flipped = keep.copy()
        flipped[target] = ~keep[target]
        np.testing.assert_array_equal(attack.scores(observed, flipped, labels, [target])[0], scores[target])


@pytest.mark.parametrize("attack", ATTACKS)
def test_other_targets_change_no_bit(attack: LearnedAttack, monkeypatch: pytest.MonkeyPatch) -> None:
    observed, keep, labels = noisy(6, 50, 2)
    scores = attack.scores(observed, keep, labels)
    np.testing.assert_array_equal(attack.scores(observed, keep, labels, [4, 1]), scores[[4, 1]])
    monkeypatch.setattr(cross_fitting, "_AT_ONCE", 1)
    np.testing.assert_array_equal(attack.scores(observed, keep, labels), scores)


def test_a_shadow_without_non_members_teaches_nothing() -> None:
    keep = np.ones((4, 30), dtype=np.bool_)
    assert (Net(shadows=1).scores(identities(4, 30), keep, np.zeros(30, dtype=np.int64)) == 0).all()


def test_more_shadows_than_there_are_models_are_refused() -> None:
    with pytest.raises(BadInput, match=r"attack inputs\.shadows: got 4; allowed: 1 to 3"):
        Memory(shadows=4).scores(identities(4, 30), balanced_keep(4, 30, 0), np.zeros(30, dtype=np.int64))


def test_the_rarer_side_counts_as_much_as_the_other() -> None:
    rng = np.random.default_rng(1)
    x, member = rng.normal(size=(2000, 2)), rng.random(2000) < 0.05
    assert abs(np.mean(train(MLPConfig(hidden=()), [x], [member], [0], 2000).log_odds(0, x))) < 0.5


def test_constant_and_far_features_stay_finite() -> None:
    x = np.array([[7.0, 0.0], [7.0, 1e300], [7.0, 1.0], [7.0, -1e300]]) / 1e160
    networks = train(MLPConfig(), [x], [np.array([True, False, True, False])], [0], 4)
    assert np.isfinite(networks.log_odds(0, np.array([[1e300, -1e300], [0.0, 0.0]]))).all()


def test_networks_of_a_stack_do_not_see_each_other() -> None:
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
    recipe = MLPConfig(hidden=(512, 128), batch=256, epochs=2)
    seen = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            seen.append(train(recipe, [x], [member], [0], 700).log_odds(0, x))
    np.testing.assert_array_equal(*seen)


def test_seeds_make_different_networks() -> None:
    x = np.random.default_rng(4).normal(size=(50, 3))
    networks = train(MLPConfig(epochs=2), [x, x, x], [x[:, 0] > 0] * 3, [0, 0, 1], 50)
    a, b, c = (networks.log_odds(i, x) for i in range(3))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_lessons_of_targets_and_halves_have_seeds_of_their_own() -> None:
    Recorder.lessons.clear()
    Recorder().scores(identities(4, 20), balanced_keep(4, 20, 0), np.zeros(20, dtype=np.int64))
    seeds = sorted(lesson.seed for lesson in Recorder.lessons)
    assert len(seeds) == 8
    assert all(a < b for a, b in pairwise(seeds))
