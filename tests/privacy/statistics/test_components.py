from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.membership.bootstrap import places_of
from hwsim.privacy.statistics.components import auc_components, difference, mean_of_two, ratio_components
from hwsim.privacy.statistics.roc import roc


def by_midranks(scores: np.ndarray, member: np.ndarray) -> tuple[float, np.ndarray]:
    """Return AUC and DeLong components of one target, from the midranks of the whole and of each class."""
    of_class = np.where(member, midranks(scores[member], scores), midranks(scores[~member], scores))
    below = midranks(scores, scores) - of_class  # samples of the other class below, ties half
    members, nonmembers = int(member.sum()), int((~member).sum())
    share = np.where(member, below / nonmembers, 1 - below / members)
    auc = float(share[member].mean())
    return auc, (share - auc) / np.where(member, members, nonmembers)


def midranks(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    ranked = np.sort(values)
    return (np.searchsorted(ranked, at, "left") + np.searchsorted(ranked, at, "right") + 1) / 2


tied = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(m for _, m in rows) < len(rows)
)


@settings(deadline=None, derandomize=True, max_examples=80)
@given(tied)
def test_the_components_of_an_auc_are_those_of_midranks(rows: list[tuple[int, bool]]) -> None:
    scores, member = np.array([[float(s) for s, _ in rows]]), np.array([[m for _, m in rows]])
    found = auc_components(places_of(scores, member), member)
    auc, components = by_midranks(scores[0], member[0])
    assert found.per_target[0] == roc(scores[0], member[0]).auc == pytest.approx(auc, abs=1e-14)
    np.testing.assert_allclose(found.of_samples[0], components, rtol=0, atol=1e-14)
    assert found.of_samples.sum() == pytest.approx(0, abs=1e-13)


def test_the_squares_sum_to_the_variance_of_delong() -> None:
    """Source: E. DeLong et al., Biometrics 1988: S10 / m + S01 / n, with variances that divide by m - 1 and n - 1."""
    rng = np.random.default_rng(0)
    member = np.arange(90) < 30
    scores = rng.normal(size=90) + member
    pairs = (scores[member][:, None] > scores[~member][None]).astype(float)
    delong = pairs.mean(axis=1).var(ddof=1) / 30 + pairs.mean(axis=0).var(ddof=1) / 60
    h = auc_components(places_of(scores[None], member[None]), member[None]).of_samples[0]
    found = np.sum(h[member] ** 2) * 30 / 29 + np.sum(h[~member] ** 2) * 60 / 59
    assert found == pytest.approx(delong, rel=1e-12)


def test_the_components_of_a_ratio_are_its_derivatives() -> None:
    """One more copy of sample i, of weight w, moves the ratio by w times its component."""
    rng = np.random.default_rng(1)
    part, whole = rng.random((2, 12)), 1 + rng.random((2, 12))
    found = ratio_components(part, whole)
    np.testing.assert_allclose(found.per_target, part.sum(axis=1) / whole.sum(axis=1), rtol=1e-15)
    for i in range(12):
        w = 1e-6
        moved = (part.sum(axis=1) + w * part[:, i]) / (whole.sum(axis=1) + w * whole[:, i])
        np.testing.assert_allclose((moved - found.per_target) / w, found.of_samples[:, i], atol=1e-6)


def test_a_ratio_of_nothing_is_zero() -> None:
    found = ratio_components(np.zeros((1, 3), bool), np.zeros((1, 3), bool))
    assert found.per_target.tolist() == [0.0]
    assert found.of_samples.tolist() == [[0.0] * 3]


def test_means_and_differences_of_two() -> None:
    a = ratio_components(np.array([[True, False]]), np.ones((1, 2)))
    b = ratio_components(np.array([[True, True]]), np.ones((1, 2)))
    assert mean_of_two(a, b).per_target.tolist() == [0.75]
    assert difference(a, b).per_target.tolist() == [-0.5]
    assert difference(a, b).of_samples.tolist() == [[0.25, -0.25]]
