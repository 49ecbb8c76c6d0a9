from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.privacy.metrics import roc

FPRS = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)


def brute_force(scores: np.ndarray, member: np.ndarray) -> tuple[Fraction, Fraction, list[Fraction]]:
    """AUC over all pairs; advantage and TPR at FPRS over all thresholds "score >= threshold"."""
    ins, outs = scores[member], scores[~member]
    pairs = sum(2 * int(i > o) + int(i == o) for i in ins for o in outs)
    auc = Fraction(pairs, 2 * len(ins) * len(outs))
    points = [
        (Fraction(int((outs >= threshold).sum()), len(outs)), Fraction(int((ins >= threshold).sum()), len(ins)))
        for threshold in [*scores, np.inf]
    ]
    advantage = max(tpr - fpr for fpr, tpr in points)
    return auc, advantage, [max(tpr for fpr, tpr in points if fpr <= limit) for limit in FPRS]


tied_scores = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({member for _, member in rows}) == 2
)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(tied_scores)
def test_every_number_against_brute_force_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    auc, advantage, tprs = brute_force(scores, member)
    curve = roc(scores, member)
    assert curve.auc == float(auc)
    assert curve.advantage == float(advantage)
    assert curve.balanced_accuracy == pytest.approx(float((1 + advantage) / 2), rel=1e-15)
    assert [curve.tpr_at_fpr(f) for f in FPRS] == [float(t) for t in tprs]


@settings(deadline=None, derandomize=True, max_examples=30)
@given(tied_scores, st.randoms(use_true_random=False))
def test_order_and_sign(rows: list[tuple[int, bool]], random: object) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    curve = roc(scores, member)
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(rows))  # type: ignore[attr-defined]
    moved = roc(scores[order], member[order])
    assert (moved.false_positives == curve.false_positives).all()
    assert (moved.true_positives == curve.true_positives).all()
    assert roc(-scores, member).auc == pytest.approx(1 - curve.auc, abs=1e-15)


def test_a_binary_score_counts_its_ties_half() -> None:
    """2,400 of 4,000 members and 1,677 of 4,000 non-members are answered right (a label-only attack)."""
    member = np.repeat([True, False], 4000)
    scores = np.concatenate([np.arange(4000) < 2400, np.arange(4000) < 1677]).astype(float)
    curve = roc(scores, member)
    assert curve.auc == 0.5 + (2400 - 1677) / 8000 == 0.590375
    assert curve.false_positives.tolist() == [0, 1677, 4000]
    assert curve.true_positives.tolist() == [0, 2400, 4000]
    assert curve.tpr_at_fpr(0.4) == 0.0


def test_a_constant_score_says_nothing() -> None:
    curve = roc(np.full(9, 36.84), np.arange(9) < 4)
    assert (curve.auc, curve.balanced_accuracy, curve.advantage) == (0.5, 0.5, 0.0)
    assert curve.tpr_at_fpr(0.5) == 0.0


def test_positive_and_negative_zero_are_tied() -> None:
    assert roc(np.array([0.0, -0.0]), np.array([True, False])).auc == 0.5


def test_a_true_positive_rate_is_read_at_a_threshold_that_exists() -> None:
    """Between the vertices (0, 0) and (1/2, 3/4) no threshold gives an FPR of 1 %."""
    member = np.array([True] * 4 + [False] * 4)
    scores = np.array([2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 1.0, 1.0])
    assert roc(scores, member).tpr_at_fpr(0.01) == 0.0
    assert roc(scores, member).tpr_at_fpr(0.5) == 0.75


def test_an_fpr_that_is_met_exactly_counts() -> None:
    """29 of 2,900 is 1 %, though 0.01 * 2900 is a little less than 29 in floating point."""
    assert 0.01 * 2900 < 29.0 or 0.01 * 2900 == 29.0
    member = np.array([False] * 29 + [True] + [False] * 2871)
    assert roc(-np.arange(2901.0), member).tpr_at_fpr(0.01) == 1.0


@pytest.mark.parametrize(
    ("scores", "member"),
    [
        ([0.0, np.nan], [True, False]),
        ([0.0, np.inf], [True, False]),
        ([0.0, 1.0], [True, True]),
        ([0.0, 1.0], [False, False]),
        ([0.0, 1.0, 2.0], [True, False]),
    ],
)
def test_what_has_no_curve_is_refused(scores: list[float], member: list[bool]) -> None:
    with pytest.raises(BadInput):
        roc(np.array(scores), np.array(member))
