from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.mean_shadow import log_mean_probability
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement, choose_shadows
from hwsim.privacy.statistics.roc import Confusion, roc
from tests.support.planted import membership_view

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
    permuted = roc(scores[order], member[order])
    assert (permuted.false_positives == curve.false_positives).all()
    assert (permuted.true_positives == curve.true_positives).all()
    assert roc(-scores, member).auc == pytest.approx(1 - curve.auc, abs=1e-15)


def test_a_binary_score_counts_its_ties_half() -> None:
    """2,400 of 4,000 members and 1,677 of 4,000 non-members are predicted correctly (a label-only attack)."""
    member = np.repeat([True, False], 4000)
    scores = np.concatenate([np.arange(4000) < 2400, np.arange(4000) < 1677]).astype(float)
    curve = roc(scores, member)
    assert curve.auc == 0.5 + (2400 - 1677) / 8000 == 0.590375
    assert curve.false_positives.tolist() == [0, 1677, 4000]
    assert curve.true_positives.tolist() == [0, 2400, 4000]
    assert curve.tpr_at_fpr(0.4) == 0.0


def test_a_constant_score_has_no_information() -> None:
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


# The cases on which four published tools were measured: 4,000 members and 4,000 non-members, unit normals half a
# standard deviation apart, cut into few levels. The expected numbers are computed by `every_pair`, which compares each
# score with each threshold and sorts nothing.


def gaussians(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    member = np.arange(8000) < 4000
    return np.random.default_rng(seed).normal(size=8000) + 0.5 * member, member


def levels(scores: np.ndarray, count: int) -> np.ndarray:
    edges = np.linspace(scores.min(), scores.max(), count + 1)[1:-1]
    return np.digitize(scores, edges).astype(np.float64)


def every_pair(scores: np.ndarray, member: np.ndarray, fprs: tuple[float, ...]) -> tuple[float, list[float]]:
    """AUC by comparing all pairs, and the largest TPR of any threshold whose FPR is within each limit."""
    ins, outs = scores[member], scores[~member]
    wins = sum(2 * int((one > outs).sum()) + int((one == outs).sum()) for one in ins)
    points = [((outs >= t).mean(), (ins >= t).mean()) for t in [*np.unique(scores), np.inf]]
    return wins / (2 * len(ins) * len(outs)), [max(tpr for fpr, tpr in points if fpr <= f) for f in fprs]


RATES = (0.0, 0.001, 0.01, 0.1)


@pytest.mark.parametrize("count", [2, 16, 256])
def test_scores_of_few_levels(count: int) -> None:
    """A binary score, 16 and 256 levels: tools that keep one of a tied group, or interpolate, are wrong here."""
    scores, member = gaussians()
    few = levels(scores, count)
    auc, tprs = every_pair(few, member, RATES)
    curve = roc(few, member)
    assert curve.auc == auc
    assert [curve.tpr_at_fpr(f) for f in RATES] == pytest.approx(tprs, abs=1e-15)
    assert curve.false_positives[-1] == curve.true_positives[-1] == 4000  # the curve ends at (1, 1)


def test_no_rate_is_read_between_two_thresholds() -> None:
    """At 16 levels a line between the vertices around an FPR of 0.1 % passes well above any real threshold."""
    scores, member = gaussians()
    curve = roc(levels(scores, 16), member)
    fpr, tpr = curve.false_positives / 4000, curve.true_positives / 4000
    assert np.interp(0.001, fpr, tpr) > 1.2 * curve.tpr_at_fpr(0.001)
    assert (fpr == 0.001).sum() == 0


def test_scores_that_a_sigmoid_saturated_keep_their_rates() -> None:
    scores, member = gaussians()
    with np.errstate(over="ignore"):
        saturated = 1 / (1 + np.exp(-40 * levels(scores, 256)))
    assert (saturated == 1).mean() > 0.9
    auc, tprs = every_pair(saturated, member, (0.5, 0.99999))
    assert roc(saturated, member).auc == auc
    assert [roc(saturated, member).tpr_at_fpr(f) for f in (0.5, 0.99999)] == pytest.approx(tprs, abs=1e-15)


def test_log_odds_of_confident_predictions_do_not_saturate() -> None:
    """Arithmetic through probabilities ends at 103.6, or at 36.84 after clipping; both differ from these."""
    odds = log_odds(np.array([[120.0, 0.0, 0.0], [60.0, 0.0, 0.0]]), np.array([0, 0]))
    assert odds.round(1).tolist() == [119.3, 59.3]


def test_the_mean_of_few_references_counts_no_zeros() -> None:
    """Every reference says p = .5, and fewer than half of the models are out: a tool gives .25 for the mean."""
    keep = np.random.default_rng(0).random((9, 200)) < 0.75
    shadows = choose_shadows(membership_view(keep, [0]), ShadowRequirement("out"))
    mean = np.exp(log_mean_probability(np.zeros((9, 200)), shadows))[0]
    has_any = ~keep[1:].all(axis=0)
    assert mean[has_any] == pytest.approx(0.5, abs=1e-15)
    assert np.isnan(mean[~has_any]).all()


def test_the_mean_of_a_population_takes_all_references_and_not_the_largest_half() -> None:
    """32 references and none holds the point: a tool takes the 16 largest, .746 where .516 is true."""
    odds = np.random.default_rng(1).normal(size=(33, 5), scale=2)
    shadows = choose_shadows(membership_view(np.zeros((33, 5), dtype=np.bool_), [0]), ShadowRequirement("out"))
    plain = (1 / (1 + np.exp(-odds[1:]))).mean(axis=0)
    assert np.exp(log_mean_probability(odds, shadows))[0] == pytest.approx(plain, rel=1e-12)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(tied_scores)
def test_the_two_areas_of_a_score_and_its_negative_are_one(rows: list[tuple[int, bool]]) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    assert roc(scores, member).auc + roc(-scores, member).auc == pytest.approx(1.0, abs=1e-15)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(tied_scores, st.sampled_from(FPRS))
def test_ruling_out_non_members_is_the_mirror_of_finding_members(rows: list[tuple[int, bool]], limit: float) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    assert roc(scores, member).tnr_at_fnr(limit) == roc(-scores, ~member).tpr_at_fpr(limit)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(tied_scores, st.floats(-4, 4))
def test_the_counts_at_a_threshold(rows: list[tuple[int, bool]], threshold: float) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    predicted = scores >= threshold
    found = roc(scores, member).at(threshold)
    assert found == Confusion(
        int((predicted & member).sum()),
        int((predicted & ~member).sum()),
        int((~predicted & ~member).sum()),
        int((~predicted & member).sum()),
    )
    assert found.accuracy == pytest.approx((predicted == member).mean(), abs=1e-15)


def test_the_columns_of_the_survey() -> None:
    """30 of 40 members and 10 of 50 non-members predicted; the rates by hand."""
    found = Confusion(true_positives=30, false_positives=10, true_negatives=40, false_negatives=10)
    assert (found.accuracy, found.precision, found.recall, found.f1) == (70 / 90, 30 / 40, 30 / 40, 60 / 80)
    assert (found.precision_nonmembers, found.recall_nonmembers, found.f1_nonmembers) == (40 / 50, 40 / 50, 80 / 100)
    assert found.balanced_accuracy == (0.75 + 0.8) / 2
    assert found.advantage == pytest.approx(0.55)
    none = Confusion(0, 0, 50, 40)
    assert (none.precision, none.recall, none.f1) == (0.0, 0.0, 0.0)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(tied_scores)
def test_the_best_threshold_in_hindsight(rows: list[tuple[int, bool]]) -> None:
    scores, member = np.array([float(s) for s, _ in rows]), np.array([m for _, m in rows])
    curve = roc(scores, member)
    assert curve.best.balanced_accuracy == pytest.approx(curve.balanced_accuracy, abs=1e-15)
    best = max(curve.at(t).balanced_accuracy for t in [*scores, np.inf])
    assert curve.best.balanced_accuracy == pytest.approx(best, abs=1e-15)


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
def test_bad_input_is_refused(scores: list[float], member: list[bool]) -> None:
    with pytest.raises(BadInput):
        roc(np.array(scores), np.array(member))
