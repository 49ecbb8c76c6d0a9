from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwsim.privacy.statistics.components import Components
from hwsim.privacy.statistics.mean_over_targets import (
    DIFFERENCE,
    SHARE,
    Size,
    Statistic,
    Variance,
    of_components,
    of_resamples,
    size_needed,
    standard_error_needed,
)


def plain_variance(values: list[float], h: list[list[float]]) -> float:
    """V* as its definition says, with loops."""
    targets, samples = len(values), len(h[0])
    shared = samples / (samples - 1) * sum((sum(row[i] for row in h) / targets) ** 2 for i in range(samples))
    mean = sum(values) / targets
    between = sum((value - mean) ** 2 for value in values) / (targets - 1) / targets
    within = sum(x * x for row in h for x in row) / targets**2
    return shared + 2 * max(0.0, between - within)


@pytest.mark.parametrize("spread", [0.0, 0.01, 0.1])
@pytest.mark.parametrize("targets", [2, 3, 16])
def test_the_interval_is_the_definition(targets: int, spread: float) -> None:
    rng = np.random.default_rng(targets)
    h = rng.normal(size=(targets, 50)) / 500
    h -= h.mean(axis=1, keepdims=True)
    values = 0.6 + spread * rng.normal(size=targets)
    found = of_components(Components(values, h))
    variance = plain_variance(values.tolist(), h.tolist())
    assert found.variance.total == pytest.approx(variance, rel=1e-12)
    half = stats.t.ppf(0.975, targets - 1) * math.sqrt(variance)
    expected = max(0, values.mean() - half), min(1, values.mean() + half)
    assert tuple(found.ci) == pytest.approx(expected, rel=1e-12)
    assert found.se**2 == pytest.approx(found.se_models**2 + found.se_samples**2)


def test_resamples_stand_in_for_components() -> None:
    rng = np.random.default_rng(0)
    draws, values = rng.random((200, 4)), rng.random(4)
    found = of_resamples(values, draws).variance
    assert found.samples == pytest.approx(np.var(draws.mean(axis=1), ddof=1))
    assert found.within == pytest.approx(sum(np.var(draws[:, t], ddof=1) for t in range(4)) / 16)
    assert found.targets == pytest.approx(np.var(values, ddof=1) / 4)


def test_the_mean_is_never_outside_its_interval() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        targets = int(rng.integers(1, 6))
        h = rng.normal(size=(targets, 8)) * 10 ** rng.uniform(-9, 1)
        limits = DIFFERENCE if rng.random() < 0.5 else SHARE
        values = rng.choice([limits.low, limits.high, 0.3], size=targets)
        found = of_components(Components(values, h), limits)
        assert limits.low <= found.ci.low <= found.mean <= found.ci.high <= limits.high


def test_one_target_has_an_interval_over_samples() -> None:
    """Without a second target nothing shows how models differ: a normal interval from the samples alone."""
    h = np.array([[0.01, -0.02, 0.01]])
    found = of_components(Components(np.array([0.6]), h))
    assert found.variance == Variance(3 / 2 * float((h**2).sum()), None, float((h**2).sum()))
    assert found.ci.high - 0.6 == pytest.approx(stats.norm.ppf(0.975) * found.se)
    assert found.se_models == 0
    assert size_needed(found, samples=3) is None


def test_values_without_trained_models_leave_the_targets_out() -> None:
    found = of_components(Components(np.array([0.4, 0.6]), np.array([[0.1, -0.1], [0.1, -0.1]])), trained=False)
    assert found.variance.targets is None
    assert of_resamples(np.array([0.4, 0.6]), np.zeros((3, 2)), trained=False).variance.targets is None


def test_the_p_value_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(2)
    for targets in (1, 2, 5, 16):
        for _ in range(20):
            h = rng.normal(size=(targets, 30)) / 100
            found = of_components(Components(0.5 + 0.03 * rng.normal(size=targets), h))
            assert (found.p_value(0.5) < 0.05) == (not found.ci.low <= 0.5 <= found.ci.high)
    found = of_components(Components(np.array([0.6, 0.62, 0.66]), np.zeros((3, 4))))
    expected = 2 * stats.t.sf((found.mean - 0.5) / found.se, 2)
    assert found.p_value(0.5) == pytest.approx(expected)


def test_without_any_spread_the_p_value_is_one_or_zero() -> None:
    constant = of_components(Components(np.full(4, 0.5), np.zeros((4, 5))))
    assert tuple(constant.ci) == (0.5, 0.5)
    assert constant.p_value(0.5) == 1.0
    assert of_components(Components(np.ones(4), np.zeros((4, 5)))).p_value(0.5) == 0.0


def test_the_standard_error_that_resolves_a_hundredth() -> None:
    """Source: any table of the normal distribution, 1.95996 + 0.84162 standard errors."""
    assert standard_error_needed(0.01) == pytest.approx(0.01 / 2.80158, rel=1e-5)
    rng = np.random.default_rng(3)
    estimates = 0.01 + standard_error_needed() * rng.normal(size=200_000)
    assert np.mean(estimates / standard_error_needed() > 1.95996) == pytest.approx(0.8, abs=0.005)


def with_parts(se_models: float, se_samples: float, targets: int) -> Statistic:
    return Statistic(np.full(targets, 0.6), Variance(se_samples**2, 1 + se_models**2 / 2, 1.0))


def test_the_models_and_samples_that_resolve_a_hundredth() -> None:
    """A standard error of .0071 on 16 models and 4,000 samples, of which models .0059."""
    found = size_needed(with_parts(0.0059, math.sqrt(0.0071**2 - 0.0059**2), 16), samples=4000)
    assert found is not None
    assert found.models == 64
    assert 15_000 < found.samples < 16_500
    for models, samples in (found, (64, 15_000), (128, 7_300)):
        variance = 0.0059**2 * 16 / models + (0.0071**2 - 0.0059**2) * 4000 / samples
        assert math.sqrt(variance) == pytest.approx(0.0036, abs=0.0001)


@pytest.mark.parametrize(
    ("se_models", "se_samples", "needed"),
    [(0.0, 0.002, Size(8, 1000)), (0.0, 0.00714, Size(8, 4002)), (0.00714, 0.0, Size(34, 1000))],
)
def test_what_adds_no_variance_need_not_grow(se_models: float, se_samples: float, needed: Size) -> None:
    found = size_needed(with_parts(se_models, se_samples, 8), samples=1000)
    assert found is not None
    assert found.models == needed.models
    assert found.samples == pytest.approx(needed.samples, abs=2)
