from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray
from planted import planted

from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.bootstrap import AUC, BALANCED_ACCURACY, TPR
from hwsim.privacy import Game, Observation, audit, audit_null, balanced_keep
from hwsim.privacy.attacks import Attack, Energy, Joint, Latency, Lira, Loss
from hwsim.privacy.attacks.base import Observed
from hwsim.privacy.leakage import MAX_FPR, _bootstrap, _resample_counts
from hwsim.privacy.metrics import roc


class Direct(Attack):
    """The energy itself is the score."""

    name = "direct"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("energy_pj",)

    def scores(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(observed["energy_pj"], dtype=np.float64)


def direct_game(scores: NDArray[np.float64], seed: int) -> tuple[Game, list[Observation]]:
    game = Game(balanced_keep(*scores.shape, seed), np.zeros(scores.shape[1], dtype=np.int64))
    return game, [Observation({"energy_pj": row}, "") for row in scores]


def test_a_resample_equals_the_curve_of_the_drawn_samples() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(6, size=(4, 50)).astype(np.float64)  # many ties
    keep = balanced_keep(4, 50, seed=0)
    counts = _resample_counts(50, 20, seed=1)
    assert (counts.sum(axis=1) == 50).all()
    drawn = _bootstrap(scores, keep, counts)
    for r in range(20):
        for t in range(4):
            curve = roc(np.repeat(scores[t], counts[r]), np.repeat(keep[t], counts[r]))
            assert drawn[AUC, r, t] == curve.auc
            assert drawn[BALANCED_ACCURACY, r, t] == pytest.approx(curve.balanced_accuracy, rel=1e-15)
            assert drawn[TPR, r, t] == curve.tpr_at_fpr(MAX_FPR)


def test_a_resample_of_one_class_tells_nothing() -> None:
    keep = np.array([[True, False, False, True]])
    drawn = _bootstrap(np.array([[3.0, 2.0, 1.0, 0.0]]), keep, np.array([[4, 0, 0, 0], [0, 4, 0, 0]], dtype=np.int32))
    assert drawn[:, :, 0].tolist() == [[0.5, 0.5], [0.5, 0.5], [0.0, 0.0]]


def test_the_interval_covers_a_known_auc() -> None:
    """Members one half standard deviation higher: AUC = Phi(0.5 / sqrt 2), about .638."""
    truth = 0.5 * (1 + math.erf(0.5 / 2))
    covered = {"points": 0, "targets": 0}
    trials = 60
    for trial in range(trials):
        rng = np.random.default_rng([7, trial])
        game, _ = direct_game(np.zeros((8, 300)), trial)
        game, observations = direct_game(rng.normal(size=(8, 300)) + 0.5 * game.keep, trial)
        auc = audit(observations, game, [Direct()], seed=trial, resamples=300).results[0].auc
        covered["points"] += auc.over_points.low <= truth <= auc.over_points.high
        covered["targets"] += auc.over_targets.low <= truth <= auc.over_targets.high
    assert covered["points"] >= 51  # 95 % of 60 is 57, less 3.5 standard deviations
    assert covered["targets"] >= 45  # eight targets are few for a percentile interval


def test_every_target_counts_alike() -> None:
    game, observations = planted(6, 200, seed=0, leak=1.0)
    result = audit(observations, game, [Loss()], seed=0, resamples=20)["loss"]
    scores = Loss().scores({"logits": np.stack([o.channels["logits"] for o in observations])}, game.keep, game.labels)
    expected = [roc(scores[t], game.keep[t]).auc for t in range(6)]
    assert result.auc.per_target.tolist() == expected
    assert result.auc.mean == float(np.mean(expected))


def test_the_same_bits_with_any_number_of_threads() -> None:
    game, observations = planted(8, 150, seed=1, leak=1.0)
    attacks = [Lira(), Joint(), Loss()]
    rows = []
    before = numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        rows.append(audit(observations, game, attacks, seed=3, resamples=50).as_row())
    assert rows[0] == rows[1]


def test_the_null_game_of_a_real_leak_is_blind() -> None:
    game, observations = planted(12, 300, seed=2, leak=2.0)
    real = audit(observations, game, [Lira()], seed=0, resamples=200)["lira"].auc
    null = audit_null(observations, game, [Lira()], seed=0, resamples=200)["lira"].auc
    assert real.over_points.low > 0.7
    assert null.over_points.low <= 0.5 <= null.over_points.high < real.over_points.low


def test_a_constant_side_channel_has_an_auc_of_exactly_one_half() -> None:
    game, observations = planted(8, 100, seed=3, leak=1.0)
    constant: dict[str, NDArray[Any]] = {"latency_cycles": np.full(100, 4096), "energy_pj": np.full(100, 0.1)}
    observations = [Observation({**o.channels, **constant}, "") for o in observations]
    leakage = audit(observations, game, [Latency(), Energy(), Lira(), Joint()], seed=0, resamples=50)
    for name in ("latency", "energy"):
        assert (leakage[name].auc.per_target == 0.5).all()
        assert leakage[name].auc.over_points == (0.5, 0.5)
    assert leakage.auc_gain("joint", over="lira") == (0.0, 0.0)


def test_a_leaking_side_channel_adds_to_the_outputs() -> None:
    game, observations = planted(12, 400, seed=4, leak=1.5)
    gain = audit(observations, game, [Lira(), Joint()], seed=0, resamples=200).auc_gain("joint", over="lira")
    assert gain.low > 0.02


def test_the_row_is_flat_and_complete() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    row = audit(observations, game, [Loss(), Lira(variance="pooled")], seed=0, resamples=20).as_row()
    for label in ("loss", "lira_pooled"):
        for statistic in ("auc", "balanced_accuracy", "tpr_at_fpr_0.01"):
            for part in ("", "_low", "_high", "_target_low", "_target_high"):
                assert type(row[f"{label}_{statistic}{part}"]) is float
    assert row["n_targets"] == 6
    assert row["n_members"] == game.keep.sum(axis=1).min()
    assert row["n_nonmembers"] == (~game.keep).sum(axis=1).min()
    assert len(row) == 2 * 3 * 5 + 4


def test_a_rate_that_the_samples_cannot_support_is_flagged() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    assert "tpr_at_fpr_0.01 rests on" in audit(observations, game, [Loss()], seed=0, resamples=5).flags[0]
    game, observations = planted(6, 2400, seed=5, leak=1.0)
    assert audit(observations, game, [Loss()], seed=0, resamples=5).flags == ()


def test_what_does_not_fit_is_refused() -> None:
    game, observations = planted(6, 100, seed=6, leak=1.0)
    with pytest.raises(BadInput, match="5 models"):
        audit(observations[:5], game, [Loss()], seed=0)
    with pytest.raises(BadInput, match="loss twice"):
        audit(observations, game, [Loss(), Loss()], seed=0)
    with pytest.raises(BadInput, match="channels with energy_pj, which the attack energy needs"):
        audit([Observation({"logits": o.channels["logits"]}, "") for o in observations], game, [Energy()], seed=0)
    with pytest.raises(BadInput, match="finite scores"):
        game, blown_up = direct_game(np.zeros((6, 100)), 0)
        audit(blown_up, game, [_Infinite()], seed=0)
    with pytest.raises(UnknownName, match="Did you mean 'loss'"):
        audit(observations, game, [Loss()], seed=0, resamples=5)["los"]


def test_a_pool_too_small_for_statistics_is_refused() -> None:
    game, observations = planted(6, 12, seed=6, leak=1.0)
    with pytest.raises(BadInput, match="10 or more of each"):
        audit(observations, game, [Loss()], seed=0)


class _Infinite(Direct):
    def scores(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.full(keep.shape, np.inf)
