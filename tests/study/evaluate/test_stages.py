"""Stages of a point: training, quantization, simulation, cost, audit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.arithmetic import ceil_div
from hwsim.design import Design
from hwsim.errors import BadInput, HwsimError
from hwsim.study.evaluate.game_data import prepare
from hwsim.study.evaluate.point_result import FLOAT_SHADOWS
from hwsim.study.evaluate.stages import CHUNK, evaluate, network_key, training_tasks
from hwsim.study.results.columns import ATTACK, AUDIT, GAIN, RESULT, SIGNIFICANCE, find_column

BASE: dict[str, Any] = {
    "dataset": {"name": "breast_cancer", "label_noise": 0.2},
    "model": {"name": "mlp", "hidden": [64], "epochs": 60, "batch": 32},
    "game": {"models": 10, "samples": 400, "calibration": 64},
    "attacks": ["loss", "lira", "latency"],
}


def design(**changes: Any) -> Design:
    return Design.resolve(BASE | changes)


def nothing(done: float) -> None:
    assert 0 <= done <= 1


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for task in training_tasks([design(), design(quantizer={"name": "lsq", "w_bits": 2, "a_bits": 4, "epochs": 2})]):
        task.run(folder, nothing)
    return folder


def result(models: Path, **changes: Any) -> dict[str, Any]:
    one = design(**changes)
    ((key, row),) = evaluate([one], models, nothing)
    assert key == one.key
    labels = [attack.label for attack in one.attacks]
    known = [*labels, *(f"{label}_{FLOAT_SHADOWS}" for label in labels)]
    assert not [name for name in row if find_column(name, known) is None]
    return row


def test_calibration_samples_are_members_of_no_model() -> None:
    data = prepare(design())
    assert len(np.unique(data.pool)) == 400
    pool = {row.tobytes() for row in data.x}
    assert not pool & {row.tobytes() for row in data.calibration}


def test_a_pool_that_is_too_large_is_refused() -> None:
    with pytest.raises(BadInput, match=r"game.samples: got 600; allowed: 8 to 505"):
        prepare(design(game={"models": 6, "samples": 600, "calibration": 64}))


def test_a_calibration_set_that_leaves_no_pool_is_refused() -> None:
    with pytest.raises(BadInput, match=r"game.calibration: got 565; allowed: 1 to 561"):
        prepare(design(game={"models": 6, "calibration": 565}))


def test_tasks_are_shared_by_the_designs_that_need_them() -> None:
    eight, four = design(), design(quantizer={"name": "minmax", "w_bits": 4})
    tuned = design(quantizer={"name": "lsq", "w_bits": 4})
    chunks = ceil_div(10, CHUNK)
    assert len(training_tasks([eight, four])) == chunks
    tasks = training_tasks([eight, four, tuned])
    assert len(tasks) == 2 * chunks
    keys = [task.key for task in tasks]
    assert all(set(task.needs) <= set(keys[:i]) for i, task in enumerate(tasks))
    assert network_key(eight) != network_key(four)
    assert network_key(eight) == network_key(design(accelerator="tiny"))
    assert network_key(eight) != network_key(design(seed=1))


@pytest.mark.parametrize("name", ["minmax", "lsq"])
def test_cycles_and_energy_add_up(models: Path, name: str) -> None:
    settings = {"name": "lsq", "w_bits": 2, "a_bits": 4, "epochs": 2} if name == "lsq" else {"name": name}
    row = result(models, quantizer=settings)
    causes = [value for column, value in row.items() if column.startswith("cycles_")]
    assert sum(causes) == row["latency_cycles"]
    parts = [
        value
        for column, value in row.items()
        if column.startswith("energy_") and column.endswith("_pj") and value != row["energy_pj"]
    ]
    assert sum(parts) == pytest.approx(row["energy_pj"], rel=1e-12)
    assert row["macs"] == 30 * 64 + 64 * 2
    assert 0.6 < row["accuracy"] <= 1
    assert row["n_targets"] == 10
    assert row["latency_auc"] == 0.5  # nothing here depends on data: all scores tie


def test_the_baseline_is_relative_to_itself(models: Path) -> None:
    assert result(models)["energy_relative"] == pytest.approx(1.0, rel=1e-3)  # one of ten models, 256 of 400 samples
    assert result(models, quantizer={"name": "minmax", "w_bits": 2, "a_bits": 2})["energy_relative"] < 1


def test_full_precision_has_leakage_but_no_cost(models: Path) -> None:
    row = result(models, quantizer="float32")
    assert "energy_pj" not in row
    assert "latency_auc" not in row
    assert row["lira_auc"] > 0.5


def test_eight_bits_leak_about_as_much_as_full_precision(models: Path) -> None:
    assert abs(result(models)["lira_auc"] - result(models, quantizer="float32")["lira_auc"]) < 0.02


def test_an_infeasible_design_has_a_reason(models: Path) -> None:
    narrow = {"name": "tpu_like", "pe": {"name": "fixed", "max_bits": 4}}
    row = result(models, accelerator=narrow)
    assert row["status"] == "infeasible"
    assert "fc1" in row["reason"]


def test_training_again_gives_the_same_bytes(models: Path, tmp_path: Path) -> None:
    task = training_tasks([design()])[0]
    task.run(tmp_path, nothing)
    assert (tmp_path / f"{task.key}.npz").read_bytes() == (models / f"{task.key}.npz").read_bytes()


def test_a_damaged_artifact_is_named(models: Path, tmp_path: Path) -> None:
    task = training_tasks([design()])[0]
    whole = (models / f"{task.key}.npz").read_bytes()
    for other in training_tasks([design()]):
        (tmp_path / f"{other.key}.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(HwsimError, match=f"{task.key}.*delete it"):
        next(evaluate([design()], tmp_path, nothing))


def test_a_row_has_every_column_of_its_attacks(models: Path) -> None:
    channels = ["logits", "latency_cycles", "energy_pj"]
    row = result(models, shadows="both", channels=channels, attacks=["loss", "lira", "joint"])
    assert {column.name for column in (*RESULT, *AUDIT)} <= set(row)
    for label in ("loss", "lira", "joint", "loss_float_shadows", "lira_float_shadows"):
        assert {f"{label}_{column.name}" for column in (*ATTACK, *SIGNIFICANCE)} <= set(row)
    assert {name for name in row if "_auc_gain" in name} == {f"joint_{column.name}" for column in GAIN}
