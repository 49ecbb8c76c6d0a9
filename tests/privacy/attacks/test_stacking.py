"""Joint attack: never clearly weaker than the best of its channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.design import Design
from hwsim.errors import HwsimError
from hwsim.privacy.attack_tools.game_view import view_game
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.model_level import less_model_mean
from hwsim.privacy.attack_tools.stacking import nonnegative_logistic
from hwsim.privacy.attacks.hardware.energy import Energy
from hwsim.privacy.attacks.hardware.joint import Joint
from hwsim.privacy.attacks.hardware.latency import Latency
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.observe import stack
from hwsim.privacy.statistics.roc import roc
from hwsim.study.evaluate.stages import load_models, training_tasks
from tests.support.planted import planted, scores_of

Arrays = dict[str, np.ndarray]

LOSS = 0.003
"""AUC by which the joint attack may lie below its best channel."""

WORLDS = ("one null", "three nulls", "leak", "copy", "null with levels")
"""Side channels beside the logits: without a leak, with one, the log-odds once more, a level of each model."""


def mean_auc(scores: np.ndarray, keep: np.ndarray) -> float:
    return float(np.mean([roc(row, k).auc for row, k in zip(scores, keep, strict=True)]))


def side_channels(world: str, keep: np.ndarray, odds: np.ndarray, seed: int) -> Arrays:
    """Return the side channels of a world, float64 [model, sample] each."""
    rng = np.random.default_rng(seed)
    noise = [rng.normal(size=keep.shape) for _ in range(3)]
    return {
        "one null": {"latency_cycles": noise[0]},
        "three nulls": dict(zip(("latency_cycles", "energy_pj", "sensitive_regions"), noise, strict=True)),
        "leak": {"latency_cycles": noise[0] + 0.8 * keep + rng.normal(size=keep.shape[1])},
        "copy": {"latency_cycles": odds},
        "null with levels": {"latency_cycles": noise[0] + 3 * rng.normal(size=(len(keep), 1))},
    }[world]


def check_worlds(odds: np.ndarray, keep: np.ndarray, worlds: tuple[str, ...]) -> dict[str, float]:
    """Return the AUC of the joint attack in each world; none lies below the best channel by more than LOSS."""
    labels = np.zeros(keep.shape[1], dtype=np.int64)
    logits = np.stack([odds, np.zeros_like(odds)], axis=-1)
    found = {}
    for world in worlds:
        extra = side_channels(world, keep, odds, seed=0)
        alone = [mean_auc(scores_of(Lira(), {"logits": logits}, keep, labels), keep)]
        for values in extra.values():
            alone.append(mean_auc(scores_of(Latency(), {"latency_cycles": values}, keep, labels), keep))
        joint = Joint(channels=("logits", *extra))
        found[world] = mean_auc(scores_of(joint, {"logits": logits, **extra}, keep, labels), keep)
        assert found[world] > max(alone) - LOSS, (world, found, alone)
    return found


@pytest.mark.parametrize("gap", [0.4, 2.5])
def test_it_does_not_lose_against_its_best_channel(gap: float) -> None:
    """A weak and a strong leak of the outputs; a second channel with a leak adds to the first one."""
    keep = balanced_keep(8, 1000, seed=0)
    rng = np.random.default_rng(1)
    odds = 2 * rng.normal(size=1000) + rng.normal(size=keep.shape) + gap * keep
    found = check_worlds(odds, keep, WORLDS)
    assert found["leak"] > found["one null"] + 0.005


@pytest.mark.long
@pytest.mark.parametrize("data", [("digits", "mlp", 1200), ("location30", "location_mlp", 1500)], ids=lambda d: d[0])
@pytest.mark.parametrize("models", [8, 16])
def test_it_does_not_lose_on_trained_models(data: tuple[str, str, int], models: int, tmp_path: Path) -> None:
    """Multilayer perceptrons on digits, and on Location-30 where the file is in the folder of the data sets."""
    dataset, model, samples = data
    game = {"models": models, "samples": samples, "calibration": 256}
    design = Design.resolve(
        {"dataset": dataset, "model": model, "quantizer": "float32", "game": game, "attacks": ["lira"]}
    )
    try:
        tasks = training_tasks([design])
        for task in tasks:
            task.run(tmp_path, lambda share: None)
    except HwsimError as error:
        if "location30" not in dataset:
            raise
        pytest.skip(str(error))
    trained = load_models(design, tmp_path)
    played = trained.game_data.game
    check_worlds(log_odds(trained.float_logits, played.labels), played.keep, WORLDS)


def test_a_constant_channel_adds_exactly_nothing() -> None:
    game, observations = planted(8, 60, seed=7, leak=1.0)
    observed = stack(observations) | {"latency_cycles": np.full((8, 60), 900), "energy_pj": np.full((8, 60), 0.1)}
    np.testing.assert_array_equal(
        scores_of(Joint(), observed, game.keep, game.labels), scores_of(Lira(), observed, game.keep, game.labels)
    )


def test_with_four_models_it_is_the_sum_of_its_channels() -> None:
    game, observations = planted(4, 60, seed=7, leak=1.0)
    observed = stack(observations)
    total = sum(scores_of(a, observed, game.keep, game.labels) for a in (Lira(), Latency(), Energy()))
    np.testing.assert_allclose(scores_of(Joint(), observed, game.keep, game.labels), total, rtol=1e-12, atol=1e-12)


def test_it_records_its_weights() -> None:
    game, observations = planted(8, 200, seed=8, leak=1.5)
    view = view_game(stack(observations), game.keep, game.labels, [3, 1])
    scores, weights = Joint(channels=("logits", "energy_pj")).scored(view)
    np.testing.assert_array_equal(scores, Joint(channels=("logits", "energy_pj")).scores(view))
    assert list(weights) == ["weight_logits", "weight_energy_pj"]
    assert all(w.shape == (2,) and (w >= 0).all() for w in weights.values())


def test_weights_are_those_of_a_logistic_regression_where_none_is_negative() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(9)
    member = rng.random(4000) < 0.5
    rows = rng.normal(size=(3, 4000)) + np.array([[1.0], [0.5], [0.1]]) * member
    fit = linear.LogisticRegression(C=np.inf, tol=1e-10).fit(rows.T, member)
    np.testing.assert_allclose(nonnegative_logistic(rows, member), fit.coef_[0], atol=0.005)
    rows[2] = -rows[0] + rng.normal(size=4000)
    assert (nonnegative_logistic(rows, member) >= 0).all()


def test_the_level_of_a_model_is_removed() -> None:
    """Whole models differ in their time by far more than members do."""
    rng = np.random.default_rng(10)
    keep = balanced_keep(8, 500, seed=5)
    values = rng.normal(size=keep.shape) + 0.8 * keep + 50 * rng.normal(size=(8, 1))
    labels = np.zeros(500, dtype=np.int64)
    for attack, channel in ((Latency(), "latency_cycles"), (Energy(), "energy_pj")):
        bare = attack.model_copy(update={"remove_level": False})
        found, without = (mean_auc(scores_of(a, {channel: values}, keep, labels), keep) for a in (attack, bare))
        assert found > 0.62 > without + 0.05
    np.testing.assert_allclose(less_model_mean(values).mean(axis=1), 0, atol=1e-12)
    shape = (8, 500, 2)
    assert less_model_mean(rng.normal(size=shape)).shape == shape
