"""Channels with several queries per sample, and shadow models of another deployment."""

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
from hwsim.study.evaluate.multi_query import COLLECTORS, MultiQueryCache, augmented
from hwsim.study.evaluate.point_result import attacks_with_float_shadows
from hwsim.study.evaluate.stages import evaluate, load_models, training_tasks

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
def integers(folder: Path) -> DeployedModels:
    return load_models(Design.resolve(BASE), folder)


@pytest.fixture(scope="module")
def floats(folder: Path) -> DeployedModels:
    return load_models(Design.resolve(BASE | {"quantizer": "float32"}), folder)


def channel(name: str) -> Any:
    return build("channel", name, **CHEAP.get(name, {}))


def test_every_multi_query_channel_has_a_collector() -> None:
    assert sorted(COLLECTORS) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("deployed", ["integers", "floats"])
def test_a_channel_has_one_finite_row_per_sample(name: str, deployed: str, request: pytest.FixtureRequest) -> None:
    found = MultiQueryCache().collect(request.getfixturevalue(deployed), [channel(name)])
    assert len(found) == 6
    assert len({own[name].shape for own in found}) == 1
    for own in found:
        assert len(own[name]) == 120
        assert np.isfinite(own[name]).all()


def test_a_channel_is_collected_once_for_all_designs_that_share_the_models(integers: DeployedModels) -> None:
    cache = MultiQueryCache()
    first, again = (cache.collect(integers, [channel("augmented_labels")]) for _ in range(2))
    assert first[0]["augmented_labels"] is again[0]["augmented_labels"]
    other = cache.collect(integers, [build("channel", "augmented_labels", shift=2)])
    assert other[0]["augmented_labels"].shape != first[0]["augmented_labels"].shape


def test_the_first_augmented_copy_is_the_sample_itself(integers: DeployedModels) -> None:
    for model, own in enumerate(MultiQueryCache().collect(integers, [channel("augmented_labels")])):
        labels = integers.query(model, integers.game_data.x).argmax(axis=1)
        np.testing.assert_array_equal(own["augmented_labels"][:, 0], labels)


def test_samples_with_a_wrong_label_are_on_the_boundary(integers: DeployedModels) -> None:
    for model, own in enumerate(MultiQueryCache().collect(integers, [channel("boundary_distance")])):
        wrong = integers.query(model, integers.game_data.x).argmax(axis=1) != integers.game_data.game.labels
        np.testing.assert_array_equal(own["boundary_distance"] == 0, wrong)


def test_logits_of_integer_networks_are_multiples_of_their_scale(
    integers: DeployedModels, floats: DeployedModels
) -> None:
    cache, adversarial = MultiQueryCache(), [channel("adversarial_logits")]
    on_chip, in_float = (cache.collect(m, adversarial)[0]["adversarial_logits"] for m in (integers, floats))
    codes = on_chip / integers.logit_scale(0)
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-6)
    assert not np.array_equal(on_chip, in_float)
    np.testing.assert_allclose(on_chip, in_float, atol=2.0)


def test_students_need_auxiliary_samples(folder: Path) -> None:
    game = BASE["game"] | {"auxiliary": 0}
    poor = Design.resolve(BASE | {"game": game, "channels": ["logits", "loss_trajectory"], "attacks": ["trajectory"]})
    with pytest.raises(BadInput, match=r"game.auxiliary: got 0; allowed: samples to distill students with"):
        for task in training_tasks([poor]):
            task.run(folder, lambda done: None)
        list(evaluate([poor], folder, lambda done: None))


def test_bits_are_flipped_where_all_features_are_bits() -> None:
    bits, reals = np.eye(8, dtype=np.float32), np.full((8, 8), 0.5, dtype=np.float32)
    few = AugmentedLabels(copies=3, flip=0.2)
    flipped, noisy = augmented(bits, few, seed=0), augmented(reals, few, seed=0)
    assert flipped.shape == noisy.shape == (4, 8, 8)
    assert set(np.unique(flipped)) == {0.0, 1.0}
    assert len(np.unique(noisy)) > 10
    assert augmented(np.zeros((8, 1, 6, 6), dtype=np.float32), few, seed=0).shape == (
        7,
        8,
        1,
        6,
        6,
    )  # 4 translations, 2 rotations


def test_shadows_in_full_precision_have_columns_of_their_own(folder: Path) -> None:
    both = Design.resolve(BASE | {"shadows": "both", "quantizer": {"name": "minmax", "w_bits": 2, "a_bits": 8}})
    ((_, row),) = evaluate([both], folder, lambda done: None)
    assert row["lira_float_shadows_auc"] != row["lira_auc"]
    assert row["loss_float_shadows_auc"] == row["loss_auc"]  # it has no shadow models


def test_the_full_scale_of_a_narrow_port_comes_from_the_calibration_samples(integers: DeployedModels) -> None:
    largest = np.abs(integers.query(2, integers.game_data.calibration)).max()
    assert integers.full_scales[2] == largest


def test_fewer_output_bits_change_the_leakage(folder: Path) -> None:
    rows = []
    for bits in (32, 8, 4):
        one = Design.resolve(BASE | {"channels": [{"name": "logits", "bits": bits}]})
        ((_, row),) = evaluate([one], folder, lambda done: None)
        rows.append(row["lira_auc"])
    assert abs(rows[0] - rows[1]) < 0.03
    assert rows[2] != rows[1]


def test_float_shadows_are_observed_in_full_precision(integers: DeployedModels) -> None:
    design = Design.resolve(BASE | {"channels": ["logits", "augmented_labels"], "shadows": "both"})
    loss, lira = attacks_with_float_shadows(design, integers, MultiQueryCache())
    assert (loss.label, lira.label) == ("loss_float_shadows", "lira_float_shadows")
    np.testing.assert_array_equal(lira.shadows["logits"], integers.float_logits)
    labels = integers.float_logits.argmax(axis=2)
    np.testing.assert_array_equal(lira.shadows["augmented_labels"][:, :, 0], labels)
