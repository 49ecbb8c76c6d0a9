from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.privacy import (
    Game,
    Observation,
    audit,
    audit_arrays,
    audit_null,
    balanced_keep,
    paired_auc,
    paired_difference,
)
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attacks.hardware.energy import Energy
from hwsim.privacy.attacks.hardware.joint import Joint
from hwsim.privacy.attacks.hardware.latency import Latency
from hwsim.privacy.attacks.metric.loss import Loss
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.audit.blind_baseline import BlindCache
from hwsim.privacy.observation.observe import stack
from hwsim.privacy.statistics.intervals import epsilon_lower_bound
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import planted, scores_of


class Direct(Attack):
    """The energy itself is the score."""

    name = "direct"
    needs = ("energy_pj",)

    def scores(self, game: GameView) -> Scores:
        return np.asarray(game.of_targets("energy_pj"), dtype=np.float64)


def direct_game(scores: NDArray[np.float64], seed: int) -> tuple[Game, list[Observation]]:
    game = Game(balanced_keep(*scores.shape, seed), np.zeros(scores.shape[1], dtype=np.int64))
    return game, [Observation({"energy_pj": row}, "") for row in scores]


def test_the_interval_covers_a_known_auc() -> None:
    """Members one half standard deviation higher: AUC = Phi(0.5 / sqrt 2), about .638."""
    truth = 0.5 * (1 + math.erf(0.5 / 2))
    covered, trials = 0, 60
    for trial in range(trials):
        rng = np.random.default_rng([7, trial])
        game, _ = direct_game(np.zeros((8, 300)), trial)
        game, observations = direct_game(rng.normal(size=(8, 300)) + 0.5 * game.keep, trial)
        auc = audit(observations, game, [Direct()], seed=trial, resamples=2, blind=False).results[0].auc
        covered += auc.ci.low <= truth <= auc.ci.high
    assert covered >= 51  # 95 % of 60 is 57, less 3.5 standard deviations


def test_every_number_lies_in_its_interval() -> None:
    """The best balanced accuracy is a maximum, which a percentile bootstrap overstates."""
    game, observations = planted(6, 100, seed=5, leak=0.2)
    leakage = audit(observations, game, [Loss(), Lira(), Latency(), Joint()], seed=0, resamples=50)
    for result in leakage.results:
        numbers = [result.auc, result.balanced_accuracy, *result.tpr_at_fpr.values(), *result.tnr_at_fnr.values()]
        for statistic in [*numbers, *result.at_best.values()]:
            assert 0 <= statistic.ci.low <= statistic.mean <= statistic.ci.high <= 1


def test_rates_at_the_best_threshold_are_those_of_the_confusion_counts() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    result = audit(observations, game, [Loss()], seed=0, resamples=5)["loss"]
    assert list(result.at_best) == [
        "accuracy", "precision", "recall", "f1", "precision_nonmembers", "recall_nonmembers", "f1_nonmembers",
    ]  # fmt: skip
    for name, statistic in result.at_best.items():
        expected = [getattr(best, name) for best in result.best]
        np.testing.assert_allclose(statistic.per_target, expected, rtol=1e-14)
    np.testing.assert_allclose(
        result.balanced_accuracy.per_target, [curve.balanced_accuracy for curve in result.curves], rtol=1e-14
    )


def test_one_target_or_two_are_told_about() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    leakages = [audit(observations, game, [Loss()], seed=0, resamples=5, targets=list(range(n))) for n in (1, 2, 3)]
    begins = [
        [text.split(":")[0] for text in one.warnings if text.split(":")[0] in ("one target", "two targets")]
        for one in leakages
    ]
    assert begins == [["one target"], ["two targets"], []]
    row = leakages[0].as_row()
    assert row["loss_needed_models"] is None
    assert row["loss_auc_se_models"] == 0.0


def test_many_attacks_are_corrected_for_their_number() -> None:
    game, observations = planted(8, 300, seed=1, leak=0.4)
    attacks = [Loss(), Lira(), Latency(), Energy()]
    leakage = audit(observations, game, attacks, seed=0, resamples=5)
    found = leakage.significance()
    alone = [leakage[label].auc.p_value(0.5) for label in found]
    assert [pair.p for pair in found.values()] == alone
    smallest = min(found, key=lambda label: found[label].p)
    assert found[smallest].p_holm == min(1.0, 4 * found[smallest].p)
    row = leakage.as_row()
    assert (row["loss_auc_p"], row["loss_auc_p_holm"]) == found["loss"]
    assert audit(observations, game, [Lira()], seed=0, resamples=5).significance()["lira"].p_holm == found["lira"].p


def test_every_target_has_the_same_weight() -> None:
    game, observations = planted(6, 200, seed=0, leak=1.0)
    result = audit(observations, game, [Loss()], seed=0, resamples=20)["loss"]
    scores = scores_of(
        Loss(), {"logits": np.stack([o.channels["logits"] for o in observations])}, game.keep, game.labels
    )
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


def test_the_null_game_of_a_real_leak_has_no_leak() -> None:
    game, observations = planted(12, 300, seed=2, leak=2.0)
    real = audit(observations, game, [Lira()], seed=0, resamples=200)["lira"].auc
    null = audit(observations, game.shuffled(0), [Lira()], seed=0, resamples=200)["lira"].auc
    assert real.ci.low > 0.7
    assert null.ci.low <= 0.5 <= null.ci.high < real.ci.low


def test_a_permutation_test_tells_a_leak_from_none() -> None:
    game, observations = planted(8, 200, seed=2, leak=1.0)
    found = audit_null(observations, game, [Latency(), Energy()], seed=0, draws=19)
    assert found.labels == ("latency", "energy")
    assert found.null.shape == (19, 2)
    assert [pair.p for pair in found.significance().values()] == [1 / 20, 1 / 20]
    assert [pair.p_holm for pair in found.significance().values()] == [2 / 20, 2 / 20]
    real = audit(observations, game, [Latency()], seed=0, resamples=2, blind=False)["latency"].auc.mean
    assert found.auc[0] == real
    assert np.abs(found.null.mean() - 0.5) < 0.02
    assert "p cannot be below 0.05" in str(found)
    again = audit_null(observations, game, [Latency(), Energy()], seed=0, draws=19)
    np.testing.assert_array_equal(found.null, again.null)


def test_the_p_value_of_a_permutation_test_is_uniform_without_a_leak() -> None:
    """Models with a level of their own: one p-value in five is 0.2 or less, at most, whatever the levels are."""
    small = 0
    for seed in range(60):
        rng = np.random.default_rng([3, seed])
        game, _ = direct_game(np.zeros((4, 60)), seed)
        game, observations = direct_game(rng.normal(size=60) + rng.normal(size=(4, 1)) + rng.normal(size=(4, 60)), seed)
        small += audit_null(observations, game, [Direct()], seed=seed, draws=9).significance()["direct"].p <= 0.2
    assert 3 <= small <= 22  # 12 of 60, less and more than three standard deviations


def test_a_permutation_test_needs_attacks_and_draws() -> None:
    game, observations = planted(6, 100, seed=2, leak=1.0)
    for attacks, draws in (([Latency()], 0), ([], 5)):
        with pytest.raises(BadInput, match="permutation test: got"):
            audit_null(observations, game, attacks, seed=0, draws=draws)


def test_one_model_or_two_suffice_for_attacks_without_shadow_models() -> None:
    game, observations = planted(4, 100, seed=2, leak=2.0)
    for models in (1, 2):
        few = Game(game.keep[:models], game.labels)
        found = audit(observations[:models], few, [Loss()], seed=0, resamples=5)
        assert found["loss"].auc.mean > 0.7
        with pytest.raises(BadInput, match=rf"game\.models: got {models}; allowed: 3 or more for the attack lira"):
            audit(observations[:models], few, [Loss(), Lira()], seed=0, resamples=5)


def test_the_bound_on_epsilon_is_the_largest_of_the_targets() -> None:
    rng = np.random.default_rng(6)
    game, _ = direct_game(np.zeros((4, 400)), 2)
    found = audit(direct_game(rng.normal(size=(4, 400)) + 4 * game.keep, 2)[1], game, [Direct()], 0, 5)["direct"]
    each = [epsilon_lower_bound(found.scores[t], found.member[t], 1, 0.01, 1 - 0.1 / 4).epsilon for t in range(4)]
    assert found.epsilon_at_least(1, 0.01, 0.9) == max(each) > 1
    tiny, observations = direct_game(np.zeros((4, 40)), 2)
    few = audit(observations, tiny, [Direct()], 0, 5)["direct"]
    assert few.epsilon_at_least(1) == 0.0


def test_a_constant_side_channel_has_an_auc_of_exactly_one_half() -> None:
    game, observations = planted(8, 100, seed=3, leak=1.0)
    constant: dict[str, NDArray[Any]] = {"latency_cycles": np.full(100, 4096), "energy_pj": np.full(100, 0.1)}
    observations = [Observation({**o.channels, **constant}, "") for o in observations]
    leakage = audit(observations, game, [Latency(), Energy(), Lira(), Joint()], seed=0, resamples=50)
    for name in ("latency", "energy"):
        assert (leakage[name].auc.per_target == 0.5).all()
        assert leakage[name].auc.ci == (0.5, 0.5)
    assert leakage.auc_gain("joint", over="lira") == (0.0, 0.0)


def test_a_leaking_side_channel_adds_to_the_outputs() -> None:
    game, observations = planted(12, 400, seed=4, leak=1.5)
    gain = audit(observations, game, [Lira(), Joint()], seed=0, resamples=200).auc_gain("joint", over="lira")
    assert gain.low > 0.02


def test_the_row_is_flat_and_complete() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    row = audit(observations, game, [Loss(), Lira(variance="pooled")], seed=0, resamples=20).as_row()
    assert list(row)[:5] == [
        "loss_auc",
        "loss_auc_ci_low",
        "loss_auc_ci_high",
        "loss_auc_se",
        "loss_auc_se_models",
    ]
    for label in ("loss", "lira_pooled"):
        for statistic in ("auc", "balanced_accuracy", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001"):
            for part in ("", "_ci_low", "_ci_high", "_se", "_se_models"):
                assert type(row[f"{label}_{statistic}{part}"]) is float
        assert type(row[f"{label}_auc_p_holm"]) is float
        assert type(row[f"{label}_needed_models"]) is type(row[f"{label}_needed_samples"]) is int
    assert row["n_targets"] == 6
    assert row["n_members"] == game.keep.sum(axis=1).min()
    assert row["n_nonmembers"] == (~game.keep).sum(axis=1).min()
    assert len(row) == 2 * (4 * 5 + 4) + 4


def test_a_rate_that_the_samples_cannot_support_has_a_warning() -> None:
    game, observations = direct_game(np.zeros((4, 100)), 0)
    few = audit(observations, game, [Direct()], seed=0, resamples=5).warnings
    assert [text.split(" rests on")[0] for text in few] == ["tpr_at_fpr_0.01", "tpr_at_fpr_0.001"]
    game, observations = direct_game(np.zeros((4, 2400)), 0)
    some = audit(observations, game, [Direct()], seed=0, resamples=5).warnings
    assert [text.split(" rests on")[0] for text in some] == ["tpr_at_fpr_0.001"]
    game, observations = direct_game(np.zeros((4, 24_000)), 0)
    assert audit(observations, game, [Direct()], seed=0, resamples=5).warnings == ()


def test_members_with_other_inputs_are_a_distribution_shift() -> None:
    """Members with larger inputs: a leak of the data, which the attacks would count as one of the model."""
    rng = np.random.default_rng(0)
    game, observations = direct_game(rng.normal(size=(4, 400)), 0)
    unshifted = rng.normal(size=(400, 3))
    assert not _shifts(audit(observations, game, [Direct()], seed=0, resamples=200, inputs=unshifted).warnings)
    shifted = unshifted + 1.0 * game.keep.T[:, :3]
    leakage = audit(observations, game, [Direct()], seed=0, resamples=200, inputs=shifted)
    assert _shifts(leakage.warnings)
    assert leakage.blind_baseline is not None
    assert leakage.blind_baseline.auc.mean > 0.6
    seen = [Observation({**o.channels, "inputs": shifted}, "") for o in observations]
    assert audit(seen, game, [Direct()], seed=0, resamples=200).warnings == leakage.warnings


def test_labels_that_separate_members_are_a_distribution_shift_even_without_inputs() -> None:
    keep = np.zeros((4, 400), dtype=np.bool_)
    keep[:, ::2] = np.random.default_rng(0).random((4, 200)) < 0.8
    keep[:, 1::2] = np.random.default_rng(1).random((4, 200)) < 0.2
    keep[0, ~keep.any(axis=0)] = True
    keep[0, keep.all(axis=0)] = False
    game = Game(keep, np.arange(400) % 2)
    observations = [Observation({"energy_pj": row}, "") for row in np.random.default_rng(2).normal(size=(4, 400))]
    assert _shifts(audit(observations, game, [Direct()], seed=0, resamples=200).warnings)


def _shifts(warnings: tuple[str, ...]) -> list[str]:
    return [text for text in warnings if text.startswith("distribution shift: ")]


def test_a_few_targets_have_the_numbers_that_they_have_among_all() -> None:
    rng = np.random.default_rng(3)
    game, _ = direct_game(np.zeros((6, 200)), 1)
    _, observations = direct_game(rng.normal(size=(6, 200)) + game.keep, 1)
    every = audit(observations, game, [Direct()], seed=0, resamples=20)["direct"]
    some = audit(observations, game, [Direct()], seed=0, resamples=20, targets=[4, 1])
    assert some["direct"].auc.per_target.tolist() == every.auc.per_target[[4, 1]].tolist()
    assert some.targets == (4, 1)
    assert some.n_members.tolist() == game.keep[[4, 1]].sum(axis=1).tolist()


def test_two_designs_on_the_same_samples_are_compared_in_pairs() -> None:
    """Equal designs differ by exactly zero; the paired interval of others is narrower than their two intervals."""
    rng = np.random.default_rng(5)
    game, _ = direct_game(np.zeros((4, 500)), 2)
    noise = rng.normal(size=(4, 500))
    better, worse = (
        audit(direct_game(noise + shift * game.keep, 2)[1], game, [Direct()], seed=0, resamples=300)
        for shift in (0.6, 0.5)
    )
    assert paired_difference(better, better, "direct") == (0.0, 0.0)
    low, high = paired_difference(better, worse, "direct")
    assert 0 < low < better["direct"].auc.mean - worse["direct"].auc.mean < high
    a, b = better["direct"].auc.ci, worse["direct"].auc.ci
    assert high - low < (a.high - a.low + b.high - b.low) / 5
    gain = paired_auc(better["direct"], worse["direct"])
    assert gain.ci == (low, high)
    assert gain.mean == pytest.approx(better["direct"].auc.mean - worse["direct"].auc.mean, abs=1e-15)
    assert gain.se < better["direct"].auc.se / 4
    with pytest.raises(BadInput, match="two audits that differ in targets"):
        few = audit(direct_game(noise, 2)[1], game, [Direct()], seed=1, resamples=5, targets=[0, 1])
        paired_difference(better, few, "direct")
    with pytest.raises(BadInput, match="two audits that differ in game"):
        paired_difference(better, audit(direct_game(noise, 3)[1], game.shuffled(0), [Direct()], 0, 300), "direct")
    with pytest.raises(UnknownName, match="attack label"):
        paired_difference(better, worse, "lira")


def test_a_result_has_the_scores_and_their_best_threshold() -> None:
    rng = np.random.default_rng(6)
    game, _ = direct_game(np.zeros((4, 300)), 2)
    scores = rng.normal(size=(4, 300)) + game.keep
    leakage = audit(direct_game(scores, 2)[1], game, [Direct()], seed=0, resamples=10)
    found = leakage["direct"]
    assert (found.scores == scores).all()
    assert [curve.auc for curve in found.curves] == found.auc.per_target.tolist()
    assert np.mean([best.advantage for best in found.best]) == pytest.approx(found.advantage)


def test_on_attack_is_called_before_each_attack() -> None:
    game, observations = direct_game(np.zeros((4, 100)), 0)
    labels: list[str] = []
    audit_arrays(stack(observations), game, [Direct()], seed=0, resamples=5, on_attack=labels.append)
    assert labels == ["blind", "direct"]


def test_bad_input_is_refused() -> None:
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
    with pytest.raises(BadInput, match=r"game\.models: got 6; allowed: 99 or more for the attack direct"):
        audit(blown_up, game, [_Greedy()], seed=0)
    with pytest.raises(BadInput, match=r"targets: got \[6\]; allowed: models 0 to 5"):
        audit(blown_up, game, [Direct()], seed=0, targets=[6])
    with pytest.raises(UnknownName, match="Did you mean 'loss'"):
        audit(observations, game, [Loss()], seed=0, resamples=5)["los"]


def test_a_pool_too_small_for_statistics_is_refused() -> None:
    game, observations = planted(6, 12, seed=6, leak=1.0)
    with pytest.raises(BadInput, match="10 or more of each"):
        audit(observations, game, [Loss()], seed=0)


class _Infinite(Direct):
    def scores(self, game: GameView) -> Scores:
        return np.full((game.models, game.samples), np.inf)


class _Greedy(Direct):
    min_models = 99


def test_samples_without_shadows_are_counted_in_a_warning() -> None:
    rng = np.random.default_rng(0)
    keep = rng.random((8, 400)) < 0.5
    keep[:, 0] = np.arange(8) == 3  # sample 0 is in one model: as a target that one has no in-shadow
    for sample in np.flatnonzero((keep.sum(axis=0) < 2) | (keep.sum(axis=0) > 6))[1:]:
        keep[:, sample] = np.arange(8) % 2 == 0
    observed = {"logits": rng.normal(size=(8, 400, 3))}
    game = Game(keep, rng.integers(3, size=400))
    warnings = audit_arrays(observed, game, [Lira(), Loss()], seed=0, resamples=10).warnings
    assert [text for text in warnings if "shadow models" in text] == [
        "lira: up to 1 samples of a target lack IN or OUT shadow models and have a score in the middle"
    ]


def test_the_blind_baseline_can_be_left_out_or_cached() -> None:
    game, observations = planted(4, 120, seed=7, leak=1.0)
    without = audit(observations, game, [Loss()], seed=0, resamples=5, blind=False)
    assert without.blind_baseline is None
    cache = BlindCache()
    first, second = (audit(observations, game, [Loss()], seed=0, resamples=5, blind_cache=cache) for _ in range(2))
    assert len(cache) == 1
    assert first.blind_baseline is not None
    assert second.blind_baseline is not None
    assert first.blind_baseline.scores is second.blind_baseline.scores
    plain = audit(observations, game, [Loss()], seed=0, resamples=5).blind_baseline
    assert plain is not None
    np.testing.assert_array_equal(plain.scores, first.blind_baseline.scores)


def test_print_shows_a_leakage_in_one_screen() -> None:
    game, observations = planted(6, 100, seed=5, leak=1.0)
    leakage = audit(observations, game, [Loss(), Lira()], seed=0, resamples=20, targets=[0, 1, 3])
    lines = str(leakage).splitlines()
    assert len(lines) < 24
    assert max(len(line) for line in lines) <= 120
    assert lines[0] == "Leakage of 3 of 6 models: planted"
    counts = game.keep[[0, 1, 3]].sum(axis=1)
    assert lines[1] == f"100 samples; per target {counts.min()} to {counts.max()} of them members"
    assert [line.split()[0] for line in lines[4:7]] == ["loss", "lira", "blind"]
    low, high = leakage["lira"].auc.ci
    assert f"{leakage['lira'].auc.mean:.4f} [{low:.4f}, {high:.4f}]" in lines[5]
    assert f"{leakage['lira'].tpr.mean:.4f}" in lines[5]
    assert f"  {leakage['lira'].auc.se:.4f}  " in lines[5]
    needed = leakage.as_row()
    assert lines[5].endswith(f"  {needed['lira_needed_models']} x {needed['lira_needed_samples']:,}")
    assert "corrected for 2 attacks (Holm)" in lines[9]
    assert lines[11:] == [f"warning: {text}" for text in leakage.warnings]
    assert "no warnings" in str(replace(leakage, warnings=(), blind_baseline=None))


def test_many_models_and_attacks_fit_one_screen() -> None:
    """31 attacks on 32 models, as text and as a value at the prompt."""
    game, observations = planted(32, 60, seed=5, leak=1.0)
    made = [Lira(prior_strength=float(n)) for n in range(1, 32)]
    leakage = audit(observations, game, made, seed=0, resamples=2, blind=False)
    assert len(str(leakage).splitlines()) < 45
    assert max(map(len, str(leakage).splitlines())) <= 120
    for value in (leakage, leakage.results[0], leakage.results[0].auc):
        assert "\n" not in repr(value)
        assert len(repr(value)) < 1000
