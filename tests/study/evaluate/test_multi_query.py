"""Channels that take more than one query, and shadow models of another deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.design import Design
from hwsim.errors import BadInput
from hwsim.privacy.observation.channels.multi_query import AugmentedLabels, MultiQueryChannel
from hwsim.registry import build, family
from hwsim.study.evaluate.deployed_models import DeployedModels
from hwsim.study.evaluate.multi_query import COLLECTORS, moved, supplied
from hwsim.study.evaluate.stages import evaluate, stand_of, training_tasks

CHEAP = {
    "boundary_distance": {"queries": 60},
    "loss_trajectory": {"epochs": 3},
    "adversarial_logits": {"eps": 0.1, "steps": 3},
    "verified_logits": {"eps": 0.01},
    "transfer_records": {"dataset": "breast_cancer"},
}
NAMES = sorted(name for name, record in family("channel").items() if issubclass(record.factory, MultiQueryChannel))
BASE: dict[str, Any] = {
    "dataset": {"name": "digits", "label_noise": 0.2},
    "model": {"name": "mlp", "hidden": [32], "epochs": 15},
    "game": {"models": 6, "samples": 120, "calibration": 64, "auxiliary": 80},
    "attacks": ["loss", "lira"],
    "channels": ["logits"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for task in training_tasks([Design.resolve(BASE)]):
        task.run(folder, lambda done: None)
    return folder


@pytest.fixture(scope="module")
def stand(folder: Path) -> DeployedModels:
    return stand_of(Design.resolve(BASE), folder)


@pytest.fixture(scope="module")
def floats(folder: Path) -> DeployedModels:
    return stand_of(Design.resolve(BASE | {"quantizer": "float32"}), folder)


def channel(name: str) -> Any:
    return build("channel", name, **CHEAP.get(name, {}))


def test_every_supplied_channel_has_a_supplier() -> None:
    assert sorted(COLLECTORS) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("deployed", ["stand", "floats"])
def test_it_has_one_finite_row_per_sample(name: str, deployed: str, request: pytest.FixtureRequest) -> None:
    found = supplied(request.getfixturevalue(deployed), [channel(name)])
    assert len(found) == 6
    assert len({own[name].shape for own in found}) == 1
    for own in found:
        assert len(own[name]) == 120
        assert np.isfinite(own[name]).all()


def test_it_is_made_once_for_all_designs_that_share_the_models(stand: DeployedModels) -> None:
    first, again = (supplied(stand, [channel("augmented_labels")]) for _ in range(2))
    assert first[0]["augmented_labels"] is again[0]["augmented_labels"]
    other = supplied(stand, [build("channel", "augmented_labels", shift=2)])
    assert other[0]["augmented_labels"].shape != first[0]["augmented_labels"].shape


def test_the_first_copy_is_the_sample_as_it_is(stand: DeployedModels) -> None:
    for model, own in enumerate(supplied(stand, [channel("augmented_labels")])):
        labels = stand.ask(model, stand.arena.x).argmax(axis=1)
        np.testing.assert_array_equal(own["augmented_labels"][:, 0], labels)


def test_what_is_wrong_already_is_on_the_boundary(stand: DeployedModels) -> None:
    for model, own in enumerate(supplied(stand, [channel("boundary_distance")])):
        wrong = stand.ask(model, stand.arena.x).argmax(axis=1) != stand.arena.game.labels
        np.testing.assert_array_equal(own["boundary_distance"] == 0, wrong)


def test_the_hardware_answers_where_the_model_is_deployed_on_it(stand: DeployedModels, floats: DeployedModels) -> None:
    on_chip, in_float = (supplied(s, [channel("adversarial_logits")])[0]["adversarial_logits"] for s in (stand, floats))
    steps = on_chip / stand.scale(0)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert not np.array_equal(on_chip, in_float)
    np.testing.assert_allclose(on_chip, in_float, atol=2.0)


def test_students_need_samples_of_nobody(folder: Path) -> None:
    game = BASE["game"] | {"auxiliary": 0}
    poor = Design.resolve(BASE | {"game": game, "channels": ["logits", "loss_trajectory"], "attacks": ["trajectory"]})
    with pytest.raises(BadInput, match=r"game.auxiliary: got 0; allowed: samples to distil students with"):
        for task in training_tasks([poor]):
            task.run(folder, lambda done: None)
        list(evaluate([poor], folder, lambda done: None))


def test_bits_are_flipped_where_all_features_are_bits() -> None:
    bits, reals = np.eye(8, dtype=np.float32), np.full((8, 8), 0.5, dtype=np.float32)
    few = AugmentedLabels(copies=3, flip=0.2)
    flipped, noisy = moved(bits, few, seed=0), moved(reals, few, seed=0)
    assert flipped.shape == noisy.shape == (4, 8, 8)
    assert set(np.unique(flipped)) == {0.0, 1.0}
    assert len(np.unique(noisy)) > 10
    assert moved(np.zeros((8, 1, 6, 6), dtype=np.float32), few, seed=0).shape == (7, 8, 1, 6, 6)  # 4 shifts, 2 turns


def test_a_column_for_full_precision_shadows_stands_beside_the_matched_one(folder: Path) -> None:
    both = Design.resolve(BASE | {"shadows": "both", "quantizer": {"name": "minmax", "w_bits": 2, "a_bits": 8}})
    ((_, row),) = evaluate([both], folder, lambda done: None)
    assert row["lira_float_shadows_auc"] != row["lira_auc"]
    assert row["loss_float_shadows_auc"] == row["loss_auc"]  # it has no shadow models


def test_a_narrow_port_is_set_by_the_calibration_samples(stand: DeployedModels) -> None:
    largest = np.abs(stand.ask(2, stand.arena.calibration)).max()
    assert stand.full_scales[2] == largest


def test_fewer_output_bits_are_seen_by_the_attacks(folder: Path) -> None:
    rows = []
    for bits in (32, 8, 4):
        one = Design.resolve(BASE | {"channels": [{"name": "logits", "bits": bits}]})
        ((_, row),) = evaluate([one], folder, lambda done: None)
        rows.append(row["lira_auc"])
    assert abs(rows[0] - rows[1]) < 0.03
    assert rows[2] != rows[1]
