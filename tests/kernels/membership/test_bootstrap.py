"""Bootstrap resamples against direct counts."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from hwsim.kernels.membership.bootstrap import draw_counts, places_of, resampled_rates
from hwsim.privacy.statistics.roc import roc
from hwsim.rng import derive_seed

RATES = np.array([0.01, 0.1, 0.3])


def seeds(count: int, seed: int = 0) -> np.ndarray:
    return np.array([derive_seed(seed, "test", r) for r in range(count)], dtype=np.uint64)


def counts_of(seed: np.uint64, samples: int) -> np.ndarray:
    counts = np.empty(samples, dtype=np.uint8)
    draw_counts(seed, counts)
    return counts


@pytest.mark.parametrize("levels", [1, 4, 10**6])
@pytest.mark.parametrize("shift", [-1.0, 0.0, 2.0])
def test_a_resample_equals_the_curve_of_the_drawn_samples(levels: int, shift: float) -> None:
    rng = np.random.default_rng(0)
    member = rng.random((4, 51)) < 0.5
    scores = rng.integers(levels, size=(4, 51)) + np.rint(shift * levels / 4 * member)
    drawn = resampled_rates(places_of(scores, member), seeds(20), RATES)
    for r, seed in enumerate(seeds(20)):
        counts = counts_of(seed, 51)
        assert counts.sum() == 51
        for t in range(4):
            curve = roc(np.repeat(scores[t], counts), np.repeat(member[t], counts))
            assert drawn[:3, r, t].tolist() == [curve.tpr_at_fpr(f) for f in RATES]
            assert drawn[3:, r, t].tolist() == [curve.tnr_at_fnr(f) for f in RATES]


def test_a_resample_of_one_class_has_no_rates() -> None:
    member = np.array([[True, False, False]])
    drawn = resampled_rates(places_of(np.array([[2.0, 1.0, 0.0]]), member), seeds(200), RATES)
    empty = [r for r, seed in enumerate(seeds(200)) if counts_of(seed, 3)[0] in (0, 3)]
    assert empty
    assert (drawn[:, empty, 0] == 0.0).all()


def test_all_samples_are_equally_likely() -> None:
    """20,000 resamples of 7: means of 1 and variances of 6/7, a binomial of 7 draws."""
    counts = np.array([counts_of(seed, 7) for seed in seeds(20_000)], dtype=np.float64)
    assert np.abs(counts.mean(axis=0) - 1).max() < 5 * math.sqrt(6 / 7 / 20_000)
    assert np.abs(counts.var(axis=0) - 6 / 7).max() < 0.05
    pairs = np.corrcoef(counts.T)[~np.eye(7, dtype=bool)]
    assert np.abs(pairs + 1 / 6).max() < 0.04  # one more of this sample is one less of another


def test_the_same_bits_with_any_number_of_threads() -> None:
    rng = np.random.default_rng(1)
    member = rng.random((3, 400)) < 0.5
    places = places_of(rng.normal(size=(3, 400)), member)
    before = numba.get_num_threads()
    found = []
    for threads in (1, before):
        numba.set_num_threads(threads)
        found.append(resampled_rates(places, seeds(64), RATES))
    np.testing.assert_array_equal(found[0], found[1])


def test_a_target_draws_the_same_samples_alone_and_among_other_targets() -> None:
    """Attacks, targets and designs with one seed can therefore be compared in pairs."""
    rng = np.random.default_rng(2)
    scores, member = rng.normal(size=(3, 100)), rng.random((3, 100)) < 0.5
    together = resampled_rates(places_of(scores, member), seeds(30), RATES)
    alone = resampled_rates(places_of(scores[1:2], member[1:2]), seeds(30), RATES)
    np.testing.assert_array_equal(together[:, :, 1:2], alone)
