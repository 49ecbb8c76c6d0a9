"""The blind baseline: at chance in a fair game, an alarm where members have another distribution."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.privacy.audit.blind_baseline import BlindCache, blind_scores, deviations_above_chance, is_shift
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.sample_keys import content_keys, first_half
from hwsim.privacy.statistics.roc import roc

TARGETS = (0, 1)


def pool(seed: int, samples: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs that depend on labels, labels, and a membership matrix drawn by coins."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=samples)
    inputs = rng.normal(size=(samples, 5)) + labels[:, None]
    return inputs, labels, balanced_keep(8, samples, seed)


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


def test_no_false_alarm_in_two_hundred_fair_games() -> None:
    """With 5 trees, which give noisier guesses. The deviations must not exceed those of a normal distribution."""
    deviations = []
    for seed in range(200):
        inputs, labels, keep = pool(seed)
        scores = blind_scores(inputs, labels, keep, [0], trees=5)
        deviations.append(deviations_above_chance(scores, keep, [0]))
        assert not is_shift(scores, keep, [0])
    assert np.std(deviations) < 1.15
    assert abs(np.mean(deviations)) < 4 / np.sqrt(200)


def test_no_false_alarm_from_labels_alone() -> None:
    deviations = []
    for seed in range(200):
        _, labels, keep = pool(seed)
        keys = np.random.default_rng(seed).permutation(120).astype(np.uint64)
        scores = blind_scores(None, labels, keep, keys=keys)
        deviations.append(deviations_above_chance(scores, keep))
    assert np.std(deviations) < 1.15
    assert abs(np.mean(deviations)) < 4 / np.sqrt(200)
    assert max(deviations) < 3.29


def test_the_targets_of_a_split_in_two_count_once() -> None:
    """All models trained on the same half: eight targets count as one."""
    inputs, labels, keep = pool(0)
    same = np.repeat(keep[:1], 8, axis=0)
    scores = blind_scores(inputs, labels, same, [0])
    one = deviations_above_chance(scores, same, [0])
    assert deviations_above_chance(np.repeat(scores, 8, axis=0), same) == pytest.approx(one, rel=1e-9)


def test_a_shift_of_the_inputs_is_found() -> None:
    inputs, labels, keep = pool(1, samples=400)
    for target in TARGETS:
        shifted = inputs + 1.0 * keep[target][:, None] * (np.arange(5) == 2)
        scores = blind_scores(shifted, labels, keep, [target])
        assert mean_auc(scores, keep[[target]]) > 0.6
        assert is_shift(scores, keep, [target])


def test_members_from_the_first_half_of_a_sorted_file_are_found() -> None:
    """A file that was sorted before it was split: an input separates members from non-members."""
    inputs, labels, _ = pool(2, samples=300)
    inputs[:, 0] = np.linspace(0, 1, 300)
    keep = np.stack([np.arange(300) < 150, np.arange(300) >= 150])
    scores = blind_scores(inputs, labels, keep)
    assert mean_auc(scores, keep) > 0.95
    assert is_shift(scores, keep)


@pytest.mark.parametrize("with_inputs", [True, False])
def test_a_shift_of_the_labels_is_found(with_inputs: bool) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=400)
    keep = rng.random((4, 400)) < np.where(labels < 2, 0.75, 0.25)
    inputs = rng.normal(size=(400, 5)) if with_inputs else None
    scores = blind_scores(inputs, labels, keep, keys=np.arange(400, dtype=np.uint64) * 7919 % 401)
    assert mean_auc(scores, keep) > 0.65
    assert is_shift(scores, keep)


@pytest.mark.parametrize("with_inputs", [True, False])
def test_the_order_of_the_samples_does_not_matter(with_inputs: bool) -> None:
    inputs, labels, keep = pool(3)
    inputs[60:], labels[60:] = inputs[:60], labels[:60]  # every sample twice
    given = inputs if with_inputs else None
    scores = blind_scores(given, labels, keep, TARGETS)
    assert scores.shape == (2, 120)
    assert scores.dtype == np.float64
    assert scores.min() > 0
    assert scores.max() < 1
    order = np.random.default_rng(0).permutation(120)
    permuted = blind_scores(given if given is None else given[order], labels[order], keep[:, order], TARGETS)
    np.testing.assert_array_equal(permuted, scores[:, order])


def test_a_guess_does_not_depend_on_the_membership_that_it_guesses() -> None:
    """Flipping the members of one half changes the guesses about the other half alone."""
    inputs, labels, keep = pool(4)
    half = first_half(content_keys(inputs, labels))
    scores = blind_scores(inputs, labels, keep, [0])[0]
    flipped = keep.copy()
    flipped[0, half] = ~flipped[0, half]
    after = blind_scores(inputs, labels, flipped, [0])[0]
    np.testing.assert_array_equal(after[half], scores[half])
    assert (after[~half] != scores[~half]).any()


def test_a_cache_computes_the_scores_of_a_game_once() -> None:
    """The second call returns the same array; another game, and the oldest one when the cache is full, are computed."""
    cache = BlindCache(max_games=2)
    games = [pool(seed) for seed in range(2)]
    first = cache.scores(*games[0], TARGETS)
    np.testing.assert_array_equal(first, blind_scores(*games[0], TARGETS))
    assert cache.scores(*games[0], TARGETS) is first
    assert cache.scores(*games[0], (0,)) is not first
    cache.scores(*games[1], TARGETS)
    assert len(cache) == 2
    assert cache.scores(*games[0], TARGETS) is not first
    cache.clear()
    assert len(cache) == 0


def test_equal_contents_have_equal_keys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.integers(3, size=50)
    keys = content_keys(x, y)
    assert len(set(keys.tolist())) == 50
    order = rng.permutation(50)
    np.testing.assert_array_equal(content_keys(x[order], y[order]), keys[order])
    assert (content_keys(x, y + 1) != keys).all()
    assert content_keys(np.array([0.0]))[0] == content_keys(np.array([-0.0]))[0]
    assert 20 <= first_half(keys).sum() <= 30


def test_bad_input_is_refused() -> None:
    inputs, labels, keep = pool(0)
    with pytest.raises(BadInput, match=r"inputs: got labels \(120,\), inputs \(119, 5\)"):
        blind_scores(inputs[1:], labels, keep)
    with pytest.raises(BadInput, match="all equal"):
        blind_scores(np.zeros((120, 2)), np.zeros(120, dtype=np.int64), keep, TARGETS)
    with pytest.raises(BadInput, match="keep: got model 1 with members only, or none"):
        deviations_above_chance(np.zeros((2, 3)), np.array([[True, False, True], [True, True, True]]))
