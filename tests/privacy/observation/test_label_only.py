"""Label-only attacks: scores, augmented copies, and distances to the decision boundary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.privacy.observation.augmentations import bit_flips, gaussian_noise, rotations, translations
from hwsim.privacy.observation.hopskipjump import Query, boundary_distance
from hwsim.privacy.statistics.roc import roc
from hwsim.registry import build
from tests.support.planted import planted, scores_of

NAMES = ["label_only_augmentation", "label_only_augmentation_learned", "label_only_boundary"]


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


def test_copies_that_stay_right_are_counted() -> None:
    seen = np.array([[[1, 1, 0], [2, 2, 2]], [[0, 0, 0], [1, 2, 1]]])
    keep = np.zeros((2, 2), dtype=bool)
    scores = scores_of(build("attack", "label_only_augmentation"), {"augmented_labels": seen}, keep, np.array([1, 2]))
    assert scores.tolist() == [[2.0, 3.0], [0.0, 1.0]]


def test_the_distance_is_the_score() -> None:
    seen = np.array([[0.5, 0.0], [0.1, 2.0]])
    attack = build("attack", "label_only_boundary")
    scores = scores_of(
        attack, {"boundary_distance": seen}, np.zeros((2, 2), dtype=bool), np.zeros(2, dtype=np.int64), [1]
    )
    assert scores.tolist() == [[0.1, 2.0]]


def test_the_learned_attack_weighs_the_copies() -> None:
    """Only copy 2 separates members from non-members; the other four are noise in the count."""
    game, _ = planted(8, 300, seed=0, leak=0.0)
    rng = np.random.default_rng(0)
    right = rng.random((8, 300, 5)) < 0.5
    right[:, :, 2] = rng.random((8, 300)) < 0.3 + 0.5 * game.keep
    observed = {"augmented_labels": np.where(right, game.labels[:, None], -1)}
    counted, learned = (scores_of(build("attack", n), observed, game.keep, game.labels) for n in NAMES[:2])
    assert mean_auc(learned, game.keep) > mean_auc(counted, game.keep) + 0.05


def images(samples: int = 3) -> np.ndarray:
    return np.random.default_rng(0).random((samples, 2, 6, 5)).astype(np.float32)


@pytest.mark.parametrize("d", [0, 1, 2])
def test_translations_against_indices(d: int) -> None:
    x = images()
    augmented = translations(x, d)
    assert augmented.shape == (4 * d + 1 if d else 1, *x.shape)
    assert augmented.dtype == x.dtype
    np.testing.assert_array_equal(augmented[0], x)
    rows, columns = np.arange(6), np.arange(5)
    expected = {
        (i, j): x[:, :, np.clip(rows - i, 0, 5)][..., np.clip(columns - j, 0, 4)]
        for i in range(-d, d + 1)
        for j in range(-d, d + 1)
        if abs(i) + abs(j) == d
    }
    assert len({copy.tobytes() for copy in augmented}) == len(augmented)
    assert {copy.tobytes() for copy in (augmented[1:] if d else augmented)} == {
        copy.tobytes() for copy in expected.values()
    }


def test_rotations_turn_both_ways() -> None:
    x = np.random.default_rng(1).random((2, 1, 5, 5)).astype(np.float32)
    augmented = rotations(x, 90)
    assert augmented.shape == (3, 2, 1, 5, 5)
    assert augmented.dtype == np.float32
    np.testing.assert_array_equal(augmented[0], x)
    turns = [np.rot90(x, k, axes=(2, 3)) for k in (1, -1)]
    for copy in augmented[1:]:
        assert min(np.abs(copy - turn).max() for turn in turns) < 1e-5
    assert np.abs(augmented[1] - augmented[2]).max() > 0.1
    slight = rotations(x, 9.0)
    assert 0 < np.abs(slight[1] - x).max() < 1
    np.testing.assert_allclose(slight[:, :, 0, 2, 2], x[None, :, 0, 2, 2].repeat(3, axis=0), rtol=1e-6)


def test_bits_flip_at_their_rate() -> None:
    x = (np.random.default_rng(0).random((50, 100)) < 0.3).astype(np.float32)
    augmented = bit_flips(x, 0.1, copies=8, seed=0)
    np.testing.assert_array_equal(augmented[0], x)
    assert set(np.unique(augmented)) == {0.0, 1.0}
    for value in (0.0, 1.0):
        assert np.abs(augmented[1:] - x)[:, x == value].mean() == pytest.approx(0.1, abs=0.01)
    assert (bit_flips(x, 0.1, copies=8, seed=1) != augmented).any()
    assert (augmented[1] != augmented[2]).any()


def test_noise_has_its_size() -> None:
    x = np.random.default_rng(0).random((50, 100))
    augmented = gaussian_noise(x, 0.2, copies=4, seed=0)
    np.testing.assert_array_equal(augmented[0], x)
    assert (augmented[1:] - x).std() == pytest.approx(0.2, rel=0.02)
    assert (augmented[1:] - x).mean() == pytest.approx(0.0, abs=0.01)


def test_a_copy_depends_on_its_own_sample_only() -> None:
    x = (np.random.default_rng(0).random((20, 30)) < 0.5).astype(np.float32)
    order = np.random.default_rng(1).permutation(20)[:7]
    for augment in (lambda x: bit_flips(x, 0.2, 3, seed=5), lambda x: gaussian_noise(x, 0.2, 3, seed=5)):
        np.testing.assert_array_equal(augment(x[order]), augment(x)[:, order])


def test_augmentations_refuse_bad_input() -> None:
    for call, message in (
        (lambda: translations(np.zeros((2, 3)), 1), r"x: got an array \(2, 3\)"),
        (lambda: translations(images(), -1), "d: got -1"),
        (lambda: rotations(images(), 0), "degrees: got 0"),
        (lambda: bit_flips(np.full((1, 2), 0.5), 0.1, 1, 0), "x: got features that are not bits"),
        (lambda: bit_flips(np.zeros((1, 2)), 1.5, 1, 0), r"p: got 1\.5"),
        (lambda: gaussian_noise(np.zeros((1, 2)), -1, 1, 0), "sigma: got -1"),
        (lambda: gaussian_noise(np.zeros((1, 2)), 1, 0, 0), "copies: got 0"),
    ):
        with pytest.raises(BadInput, match=message):
            call()


class Linear:
    """Two classes separated by a plane through the middle of the box; counts its queries."""

    def __init__(self, features: int, steps: int = 0) -> None:
        self.w = np.random.default_rng(0).normal(size=features)
        self.steps, self.queries = steps, 0

    def side(self, x: np.ndarray) -> np.ndarray:
        flat = x.reshape(len(x), -1).astype(np.float64)
        if self.steps:
            flat = np.round(flat * self.steps) / self.steps
        return (flat - 0.5) @ self.w

    def __call__(self, x: np.ndarray) -> np.ndarray:
        assert x.dtype == np.float32
        assert x.min() >= 0
        assert x.max() <= 1
        self.queries += len(x)
        return (self.side(x) > 0).astype(np.int64)

    def distance(self, x: np.ndarray) -> np.ndarray:
        """Exact where the foot of the perpendicular lies in the box."""
        return np.abs(self.side(x)) / np.linalg.norm(self.w)


def middle(samples: int, features: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0.3, 0.7, size=(samples, features)).astype(np.float32)


@pytest.mark.parametrize(("features", "queries", "within"), [(20, 1000, 0.06), (64, 3000, 0.06), (446, 3000, 0.25)])
def test_the_distance_to_a_plane(features: int, queries: int, within: float) -> None:
    plane, x = Linear(features), middle(20, features)
    exact = plane.distance(x)
    found = boundary_distance(plane, x, plane(x), queries, seed=0)
    assert (found >= exact * (1 - 1e-4)).all()
    assert (found <= exact * (1 + within)).all()


def test_more_queries_never_give_a_larger_distance_and_the_budget_is_kept() -> None:
    x, before = middle(20, 64), np.inf
    for queries in (50, 100, 200, 400, 1000, 2000):
        plane = Linear(64)
        labels = plane(x)
        plane.queries = 0
        found = boundary_distance(plane, x, labels, queries, seed=0)
        assert plane.queries <= queries * len(x)
        assert (found <= before).all()
        before = found
    assert found.mean() < 1.1 * Linear(64).distance(x).mean()


def test_the_distance_of_a_sample_does_not_depend_on_the_other_samples() -> None:
    plane, x = Linear(30), middle(24, 30)
    labels = plane(x)
    found = boundary_distance(plane, x, labels, 300, seed=0)
    order = np.random.default_rng(1).permutation(24)[:11]
    np.testing.assert_array_equal(boundary_distance(plane, x[order], labels[order], 300, seed=0), found[order])
    one_by_one = boundary_distance(plane, x, labels, 300, seed=0, max_batch=1)
    np.testing.assert_array_equal(one_by_one, found)
    assert (boundary_distance(plane, x, labels, 300, seed=1) != found).any()


def test_wrong_labels_have_distance_zero_and_constant_ones_the_largest() -> None:
    plane, x = Linear(12), middle(10, 12).reshape(10, 3, 2, 2)
    labels = plane(x)
    labels[:4] = 1 - labels[:4]
    found = boundary_distance(plane, x, labels, 200, seed=0)
    assert (found[:4] == 0).all()
    assert (found[4:] > 0).all()
    never: Query = lambda rows: np.zeros(len(rows), dtype=np.int64)  # noqa: E731
    assert boundary_distance(never, x, np.zeros(10, dtype=np.int64), 200, seed=0).tolist() == [math.sqrt(12)] * 10


def test_probes_below_the_step_of_the_inputs_find_little() -> None:
    """Inputs rounded to 4 bits: short probes all round to the same input."""
    coarse, x = Linear(64, steps=15), np.round(middle(30, 64) * 15).astype(np.float32) / 15
    labels = coarse(x)
    short, long = (boundary_distance(coarse, x, labels, 1500, seed=0, min_probe=p) for p in (0.0, 8 / 15))
    assert long.mean() < 0.9 * short.mean()


def test_bad_queries_are_refused() -> None:
    plane, x = Linear(4), middle(2, 4)
    labels = plane(x)
    for call, message in (
        (lambda: boundary_distance(plane, x + 1, labels, 100, 0), r"x: got 1\.\d+ to 1\.\d+; allowed: 0 to 1"),
        (lambda: boundary_distance(plane, x, labels[:1], 100, 0), r"x: got shapes \(2, 4\) and \(1,\)"),
        (lambda: boundary_distance(plane, x, labels, 10, 0), "queries_per_sample: got 10; allowed: 50 or more"),
        (lambda: boundary_distance(lambda rows: rows, x, labels, 100, 0), r"query: got labels \(2, 4\)"),  # type: ignore
    ):
        with pytest.raises(BadInput, match=message):
            call()
