"""Thresholds learned on shadow models: Yeom et al., Song and Mittal, and the privacy risk score."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError
from hwsim.privacy.attack_tools.class_thresholds import class_thresholds, threshold_scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows
from hwsim.privacy.attacks.metric.yeom_bounded import YeomBounded
from hwsim.privacy.attacks.metric.yeom_threshold import log_mean_training_loss
from hwsim.privacy.attacks.per_class.risk_score import privacy_risk
from hwsim.privacy.attacks.per_class.song_mittal_confidence import SongMittalConfidence
from hwsim.privacy.attacks.per_class.song_mittal_correctness import SongMittalCorrectness
from hwsim.privacy.attacks.per_class.song_robust import SongRobust
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.observe import stack
from hwsim.privacy.statistics.roc import roc
from hwsim.registry import build
from tests.support.planted import membership_view, planted, scores_of

NAMES = [
    "yeom_bounded",
    "yeom_threshold",
    "song_mittal_confidence",
    "song_mittal_entropy",
    "song_mittal_modified_entropy",
    "song_mittal_correctness",
    "risk_score",
    "song_robust",
]


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


def plain_threshold(values: np.ndarray, member: np.ndarray) -> float | None:
    """Every value tried against every entry; the largest of the best."""
    if member.all() or not member.any():
        return None
    best, threshold = -1, 0.0
    for candidate in values:
        called = values >= candidate
        right = int((called & member).sum()) * int((~member).sum()) + int((~called & ~member).sum()) * int(member.sum())
        if right > best or (right == best and candidate > threshold):
            best, threshold = right, candidate
    return float(threshold)


def plain_sets(keep: np.ndarray, target: int, sample: int) -> list[int]:
    ring = [(target + step) % len(keep) for step in range(1, len(keep))]
    in_set, out = ([m for m in ring if keep[m, sample] == side] for side in (True, False))
    n = min(len(in_set), len(out))
    return in_set[:n] + out[:n]


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_thresholds_against_trying_every_value(levels: int) -> None:
    for seed in range(30):
        rng = np.random.default_rng([levels, seed])
        n = int(rng.integers(1, 60))
        member = rng.random(n) < 0.5
        values = np.floor((rng.normal(size=n) + member) * levels / 4)  # few levels: many ties
        labels = rng.integers(4, size=n) * 3 - 2
        expected = {y: plain_threshold(values[labels == y], member[labels == y]) for y in np.unique(labels).tolist()}
        assert class_thresholds(values, member, labels) == {y: t for y, t in expected.items() if t is not None}


def test_balanced_shadows_against_a_plain_loop() -> None:
    for keep in (balanced_keep(8, 30, seed=0), np.random.default_rng(0).random((7, 30)) < 0.3):
        for target in range(len(keep)):
            chosen = balanced_shadows(membership_view(keep), target)
            for s in range(30):
                assert np.flatnonzero(chosen[:, s]).tolist() == sorted(plain_sets(keep, target, s))


def test_the_confidence_attack_decides_like_the_formulas_of_the_paper() -> None:
    """On probabilities, with a loop over targets, classes and values."""
    game, observations = planted(6, 60, seed=5, leak=1.0)
    observed, keep, labels = stack(observations), game.keep, game.labels
    p = observed["probabilities"][:, np.arange(60), labels]
    scores = scores_of(SongMittalConfidence(), observed, keep, labels)
    for target in range(6):
        for label in np.unique(labels):
            entries = [
                (p[m, s], keep[m, s]) for s in np.flatnonzero(labels == label) for m in plain_sets(keep, target, s)
            ]
            threshold = plain_threshold(np.array([v for v, _ in entries]), np.array([k for _, k in entries]))
            here = labels == label
            np.testing.assert_array_equal(scores[target, here] >= 0, p[target, here] >= threshold)


def test_classes_at_different_levels_need_their_own_thresholds() -> None:
    rng = np.random.default_rng(0)
    keep = balanced_keep(8, 300, seed=1)
    labels = rng.integers(3, size=300)
    values = 10.0 * labels + rng.normal(size=keep.shape) + 2 * keep
    one_for_all = threshold_scores(values, membership_view(keep), np.zeros_like(labels))
    assert mean_auc(threshold_scores(values, membership_view(keep), labels), keep) > 0.9
    assert mean_auc(one_for_all, keep) < 0.65


def test_a_class_without_in_or_out_shadows_gets_the_global_threshold() -> None:
    keep = np.array([[True, True, False], [True, False, True], [False, True, True], [False, False, True]])
    values = np.array([[0.0, 0.0, 7.0], [5.0, 1.0, 9.0], [2.0, 6.0, 9.0], [1.0, 2.0, 9.0]])
    scores = threshold_scores(values, membership_view(keep, [0]), np.array([0, 0, 1]))
    assert not balanced_shadows(membership_view(keep), 0)[:, 2].any()
    assert scores.tolist() == [[-5.0, -5.0, 2.0]]
    with pytest.raises(BadInput, match=r"game\.keep: got no sample with both IN and OUT shadow models"):
        threshold_scores(values[:2], membership_view(keep[:2]), np.array([0, 0, 1]))


@pytest.mark.parametrize("name", NAMES)
def test_no_leak_is_found_by_counting_shadows(name: str) -> None:
    """Every sample a class of its own, no leak: only the number of IN and OUT models could reveal anything."""
    rng = np.random.default_rng(0)
    attack = build("attack", name)
    aucs = []
    for seed in range(40):
        keep = balanced_keep(4, 30, seed)
        logits = rng.normal(size=(4, 30, 30)) * 3
        logits[:, np.arange(30), np.arange(30)] += 6  # right half of the time
        p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
        observed = {"logits": logits, "probabilities": p, "label": logits.argmax(axis=2), "adversarial_logits": logits}
        aucs.append(mean_auc(scores_of(attack, observed, keep, np.arange(30)), keep))
    assert abs(np.mean(aucs) - 0.5) < 4 * np.std(aucs) / math.sqrt(40)


def test_the_bounded_adversary_has_the_advantage_of_its_theorem() -> None:
    game, observations = planted(4, 500, seed=0, leak=1.0)
    observed, member = stack(observations), game.keep[0]
    losses = -np.log(observed["probabilities"][0][np.arange(500), game.labels])
    says_member = scores_of(YeomBounded(bound=50.0), observed, game.keep, game.labels)[0]
    says_member = 1 - np.exp(-says_member)
    np.testing.assert_allclose(says_member, 1 - losses / 50, rtol=1e-12)
    advantage = says_member[member].mean() - says_member[~member].mean()
    assert advantage == pytest.approx((losses[~member].mean() - losses[member].mean()) / 50, rel=1e-12)
    assert advantage > 0


def test_the_bound_is_the_largest_training_loss_of_the_shadows() -> None:
    losses = np.array([[9.0, 1.0], [2.0, 8.0], [3.0, 4.0]])
    logits = np.stack([np.zeros_like(losses), np.log(np.expm1(losses))], axis=2)  # class 0 has these losses
    keep = np.array([[True, False], [True, False], [False, True]])
    scores = scores_of(YeomBounded(), {"logits": logits}, keep, np.zeros(2, dtype=np.int64))
    probabilities = [[0.0, 0.75], [1 - 2 / 9, 1 - 8 / 9], [1 - 3 / 9, 1 - 4 / 9]]
    np.testing.assert_allclose(1 - np.exp(-scores), probabilities, rtol=1e-12)
    perfect = np.stack([np.full((3, 2), 2000.0), np.zeros((3, 2))], axis=2)
    assert scores_of(YeomBounded(), {"logits": perfect}, keep, np.zeros(2, dtype=np.int64)).tolist() == [[0.0, 0.0]] * 3
    with pytest.raises(HwsimError, match="bound"):
        build("attack", "yeom_bounded", bound=0)


def test_the_threshold_is_the_mean_training_loss_of_the_shadows() -> None:
    losses = np.array([[0.5, 5.6, 5.6], [2.0, 8.0, 9.0], [3.0, 4.0, 7.0]])
    logits = np.stack([np.zeros_like(losses), np.log(np.expm1(losses))], axis=2)
    keep = np.array([[True, True, True], [True, True, False], [False, False, True]])
    attack = build("attack", "yeom_threshold")
    assert (2.0 + 8.0 + 7.0) / 3 > 5.6 > (2.0 + 8.0 + 7.0 + losses[0].sum()) / 6
    assert scores_of(attack, {"logits": logits}, keep, np.zeros(3, dtype=np.int64), [0]).tolist() == [[1.0, 1.0, 1.0]]
    keep[1, 1] = False  # the mean of 2 and 7 is 4.5
    assert scores_of(attack, {"logits": logits}, keep, np.zeros(3, dtype=np.int64), [0]).tolist() == [[1.0, 0.0, 0.0]]


def test_the_mean_training_loss_does_not_depend_on_the_order_nor_underflow() -> None:
    rng = np.random.default_rng(0)
    losses, keep = rng.exponential(size=(5, 60)), rng.random((5, 60)) < 0.5
    order = rng.permutation(60)
    mean, permuted, far = (
        log_mean_training_loss(logs, membership_view(k)).tolist()
        for logs, k in (
            (np.log(losses), keep),
            (np.log(losses)[:, order], keep[:, order]),
            (np.log(losses) - 5000, keep),
        )
    )
    assert mean == permuted
    plain = [np.log(np.delete(losses, t, 0)[np.delete(keep, t, 0)].mean()) for t in range(5)]
    np.testing.assert_allclose(mean, plain, rtol=1e-12)
    np.testing.assert_allclose(far, np.array(plain) - 5000, rtol=1e-12)


def test_correct_predictions_are_weighted_by_class() -> None:
    """In class 0 members are correct more often, in class 1 equally often: there a prediction is no evidence."""
    rng = np.random.default_rng(0)
    keep = balanced_keep(16, 400, seed=0)
    labels = np.arange(400) % 2
    right = rng.random(keep.shape) < np.where(labels == 0, 0.3 + 0.6 * keep, 0.9)
    scores = scores_of(SongMittalCorrectness(), {"label": np.where(right, labels, -1)}, keep, labels)
    assert scores[0][(labels == 0) & right[0]].min() > 0.2
    assert scores[0][(labels == 0) & ~right[0]].max() < -0.2
    assert np.abs(scores[0][labels == 1]).max() < 0.15
    assert mean_auc(scores, keep) > mean_auc(right.astype(float), keep) + 0.03


def test_risk_scores_against_counting_by_hand() -> None:
    rng = np.random.default_rng(3)
    member = rng.random(300) < 0.4
    shadow = np.round(rng.normal(size=300) + member, 1)
    shadow_labels, values, labels = rng.integers(3, size=300), rng.normal(size=50), rng.integers(4, size=50)
    risk = privacy_risk(values, labels, shadow, member, shadow_labels, bins=4)
    for value, label, score in zip(values, labels, risk, strict=True):
        here = shadow_labels == label
        if label == 3:
            assert score == 0.5
            continue
        ranked = np.sort(shadow[here])
        edges = [-np.inf, *(ranked[i * len(ranked) // 4] for i in (1, 2, 3)), np.inf]
        low, high = next((a, b) for a, b in pairwise(edges) if a <= value < b)
        shares = [
            (sum(low <= v < high for v in shadow[here & side]) + 1) / (int((here & side).sum()) + 1)
            for side in (member, ~member)
        ]
        assert score == pytest.approx(shares[0] / sum(shares), rel=1e-12)


def test_risk_scores_are_probabilities() -> None:
    game, observations = planted(16, 2000, seed=4, leak=2.0)
    scores = scores_of(build("attack", "risk_score"), stack(observations), game.keep, game.labels, targets=range(4))
    member = game.keep[:4]
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9)):
        here = (scores >= low) & (scores < high)
        assert member[here].mean() == pytest.approx(scores[here].mean(), abs=0.05)


def test_robust_confidence_is_read_from_the_chosen_logits() -> None:
    game, observations = planted(8, 100, seed=0, leak=1.0)
    observed = stack(observations)
    for confidence, channel in (("benign", "logits"), ("pgd", "adversarial_logits"), ("verified", "verified_logits")):
        attack = SongRobust(confidence=confidence)  # type: ignore[arg-type]
        assert attack.needs == (channel,)
        phi = np.stack([log_odds(z, game.labels) for z in observed[channel]])
        scores = scores_of(attack, {channel: observed[channel]}, game.keep, game.labels)
        np.testing.assert_array_equal(
            scores, threshold_scores(phi, membership_view(game.keep), np.zeros_like(game.labels))
        )
        np.testing.assert_allclose(np.ptp(phi - scores, axis=1), 0, atol=1e-12)  # one threshold per target
    assert SongRobust().needs == ("adversarial_logits",)
    with pytest.raises(HwsimError, match="confidence"):
        build("attack", "song_robust", confidence="pdg")
