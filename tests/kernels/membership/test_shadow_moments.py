"""Shadow statistics against exact fractions, and population shares against all pairs."""

from __future__ import annotations

from fractions import Fraction
from math import log

import numba
import numpy as np
import pytest

from hwsim.kernels.membership.population_share import share_at_least
from hwsim.kernels.membership.shadow_moments import fixed_point_grid, log_means, shadow_moments, shadow_percentiles


def chosen(keep: np.ndarray, target: int, which: int, size: int) -> list[int]:
    """Return the first `size` models of a set (0 = OUT, 1 = IN) after the target, in a ring."""
    ring = [(target + step) % len(keep) for step in range(1, len(keep))]
    return [m for m in ring if keep[m] == which][:size]


def random_game(models: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return random values and memberships, and sizes: all OUT models, and an even number of IN models."""
    rng = np.random.default_rng(seed)
    keep = rng.random((models, samples)) < 0.5
    count = np.arange(models)
    out, inside = (models - 1 - count), np.maximum(count - count % 2, 0)
    sizes = np.broadcast_to(np.stack([out, inside])[:, None], (2, models, models))
    return rng.normal(size=(models, samples)), keep, np.ascontiguousarray(sizes)


@pytest.mark.parametrize("models", [2, 3, 8, 17])
@pytest.mark.parametrize("offset, spread", [(0.0, 1.0), (-1e6, 1e-3), (3e-200, 1e-200), (0.0, 1e150)])
def test_moments_equal_exact_fractions(models: int, offset: float, spread: float) -> None:
    values, keep, sizes = random_game(models, 40, seed=models)
    values = offset + spread * values
    targets = np.arange(models)
    exponent, half = fixed_point_grid(values)
    unit = Fraction(2) ** -exponent
    means, squares = shadow_moments(values, keep, targets, sizes, exponent, half)
    for which, t, s in np.ndindex(means.shape):
        models_taken = chosen(keep[:, s], t, which, sizes[which, t, keep[:, s].sum() - keep[t, s]])
        if not models_taken:
            assert means[which, t, s] == squares[which, t, s] == 0
            continue
        x = [int(Fraction(values[m, s]) / unit) for m in models_taken]  # rounded toward zero
        mean = Fraction(sum(x), len(x))
        assert means[which, t, s] == pytest.approx(float(mean * unit), rel=4e-16, abs=0)
        exact = float(sum((v - mean) ** 2 for v in x) * unit) * float(unit)
        assert squares[which, t, s] == pytest.approx(exact, rel=2e-15, abs=0)


def test_the_grid_is_finer_than_the_resolution_of_the_largest_float() -> None:
    for models in (2, 64, 256):
        exponent, half = fixed_point_grid(np.full((models, 1), 1.9))
        assert (exponent, half) == (53, 27)
    exponent, half = fixed_point_grid(np.full((5000, 1), 1.0))
    assert 5000 * 4**half <= 2**62
    assert exponent == 2 * half - 1
    assert fixed_point_grid(np.zeros((4, 2)))[0] == 54


def test_sums_of_256_models_do_not_overflow() -> None:
    values = np.where(np.arange(256) % 3 == 0, -1.0, 1.0 - 2**-53)[:, None] * 2.0**70
    keep = np.zeros((256, 1), dtype=bool)
    sizes = np.full((2, 1, 256), 255)
    means, squares = shadow_moments(values, keep, np.array([7]), sizes, *fixed_point_grid(values))
    others = np.delete(values[:, 0], 7)
    assert means[0, 0, 0] == pytest.approx(others.mean(), rel=1e-15)
    assert squares[0, 0, 0] == pytest.approx(((others - others.mean()) ** 2).sum(), rel=1e-14)


def test_equal_values_have_their_value_as_mean_and_no_spread() -> None:
    values = np.tile([[0.1, -123456.7, 1e-5]], (6, 1))
    keep = np.tile([[True], [False], [False], [True], [False], [True]], (1, 3))
    sizes = np.full((2, 6, 6), 2)
    exponent, half = fixed_point_grid(values)
    means, squares = shadow_moments(values, keep, np.arange(6), sizes, exponent, half)
    np.testing.assert_allclose(means[0, 0], values[0], rtol=0, atol=2.0**-exponent)
    assert (means == means[0, 0]).all()
    assert (squares == 0).all()


def test_the_order_of_the_shadows_changes_no_bit() -> None:
    """Ten samples with the same values in each set, assigned to the models in ten orders."""
    rng = np.random.default_rng(1)
    inside, out = rng.normal(size=5), rng.normal(size=6)
    keep = np.stack([rng.permutation(np.repeat([True, False], [5, 6])) for _ in range(10)], axis=1)
    keep = np.vstack([keep, np.zeros((1, 10), dtype=bool)])
    values = np.zeros((12, 10))
    for s in range(10):
        values[:11, s][keep[:11, s]] = rng.permutation(inside)
        values[:11, s][~keep[:11, s]] = rng.permutation(out)
    sizes = np.stack([np.full((1, 12), 6), np.full((1, 12), 5)])
    target = np.array([11])
    for moments in shadow_moments(values, keep, target, sizes, *fixed_point_grid(values)):
        assert (moments == moments[:, :, :1]).all()
    logs = log_means(values, keep, target, sizes)
    assert (logs == logs[0, 0]).all()


def test_log_means_against_exact_arithmetic() -> None:
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(2)
    odds = rng.normal(scale=4, size=(9, 60)) + np.repeat([-2000.0, -60.0, -3.0, 0.0, 3.0, 60.0], 10)
    keep = rng.random(odds.shape) < 0.5
    sizes = np.stack([np.minimum(8 - np.arange(9), 3), np.minimum(np.arange(9), 2)])[:, None].repeat(9, axis=1)
    logs = log_means(odds, keep, np.arange(9), sizes)
    with mpmath.workdps(1000):
        for t, s in np.ndindex(logs.shape):
            count = keep[:, s].sum() - keep[t, s]
            models = [m for which in (0, 1) for m in chosen(keep[:, s], t, which, sizes[which, t, count])]
            mean = mpmath.fsum(1 / (1 + mpmath.exp(-mpmath.mpf(odds[m, s]))) for m in models) / len(models)
            assert logs[t, s] == pytest.approx(float(mpmath.log(mean)), rel=1e-14, abs=0)


def test_without_shadows_there_is_no_mean() -> None:
    none = np.zeros((2, 1, 3), dtype=np.int64)
    assert np.isnan(log_means(np.zeros((3, 2)), np.zeros((3, 2), dtype=bool), np.array([0]), none)).all()


def test_shadow_percentiles_against_a_direct_count() -> None:
    values, keep, sizes = random_game(9, 80, seed=3)
    values = np.round(values)
    shares = shadow_percentiles(values, keep, np.arange(9), sizes)
    for t, s in np.ndindex(shares.shape):
        count = keep[:, s].sum() - keep[t, s]
        models = [m for which in (0, 1) for m in chosen(keep[:, s], t, which, sizes[which, t, count])]
        beaten = [1.0 if values[m, s] < values[t, s] else 0.5 * (values[m, s] == values[t, s]) for m in models]
        assert shares[t, s] == (sum(beaten) / len(beaten) if beaten else 0.5)


@pytest.mark.parametrize("margin", [0.0, log(2), 0.5, -0.25])
def test_share_at_least_is_the_count_over_all_pairs(margin: float) -> None:
    """Values are multiples of one quarter: many differences equal a margin that is a multiple of one quarter."""
    rng = np.random.default_rng(4)
    values, population = rng.integers(-9, 9, size=300) / 4, rng.integers(-9, 9, size=170) / 4
    expected = [sum(bool(x - z >= margin) for z in population) / 170 for x in values]
    assert share_at_least(values, np.sort(population), margin).tolist() == expected
    smooth, other = rng.normal(size=200), rng.normal(size=90)
    expected = [sum(bool(x - z >= margin) for z in other) / 90 for x in smooth]
    assert share_at_least(smooth, np.sort(other), margin).tolist() == expected


def test_one_and_two_threads_give_the_same_bits() -> None:
    values, keep, sizes = random_game(8, 333, seed=5)
    targets = np.arange(8)
    results = []
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            results.append(
                [
                    *shadow_moments(values, keep, targets, sizes, *fixed_point_grid(values)),
                    log_means(values, keep, targets, sizes),
                    shadow_percentiles(values, keep, targets, sizes),
                ]
            )
    finally:
        numba.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)
