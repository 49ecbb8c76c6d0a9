"""Loss trajectories: each student approaches its own teacher, on an auxiliary set without members."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.datasets import Data
from hwsim.errors import BadInput
from hwsim.privacy.game import balanced_keep
from hwsim.registry import build
from hwsim.training.distill import label_losses, loss_trajectory
from hwsim.training.ensemble import Ensemble, Members, train

MODEL = build("model", "mlp", hidden=(24,), epochs=30, batch=32, learning_rate=1e-2)
MODELS, POOL, AUXILIARY, EPOCHS = 4, 150, 250, 20


@pytest.fixture(scope="module")
def data() -> Data:
    digits: Data = build("dataset", "digits").load(0)
    return digits


@pytest.fixture(scope="module")
def teachers(data: Data) -> Ensemble:
    return train(MODEL, Members(data.x[:POOL], data.labels[:POOL], balanced_keep(MODELS, POOL, 0)))


@pytest.fixture(scope="module")
def game(data: Data, teachers: Ensemble) -> dict[str, np.ndarray]:
    auxiliary = data.x[POOL : POOL + AUXILIARY]
    return {
        "teacher_logits": teachers.logits(auxiliary),
        "auxiliary": auxiliary,
        "pool": data.x[:POOL],
        "labels": data.labels[:POOL],
    }


def test_students_approach_their_own_teacher(game: dict[str, np.ndarray], teachers: Ensemble) -> None:
    losses = loss_trajectory(**game, model=MODEL, epochs=EPOCHS)  # type: ignore[arg-type]
    assert losses.shape == (MODELS, POOL, EPOCHS)
    assert losses.dtype == np.float64
    assert np.isfinite(losses).all()
    assert losses[:, :, -1].mean() < 0.5 * losses[:, :, 0].mean()
    taught = label_losses(teachers.graph, teachers.weights, game["pool"], game["labels"])
    own, theirs = (part - part.mean(0) for part in (losses[:, :, -1], taught))  # differences between models
    correlation = np.corrcoef(own, theirs)[:MODELS, MODELS:]
    assert (correlation.argmax(1) == np.arange(MODELS)).all(), "each student is most similar to its own teacher"


def test_the_trajectory_is_deterministic_and_depends_on_the_seed(game: dict[str, np.ndarray]) -> None:
    losses = loss_trajectory(**game, model=MODEL, epochs=2)  # type: ignore[arg-type]
    again = loss_trajectory(**game, model=MODEL, epochs=2)  # type: ignore[arg-type]
    np.testing.assert_array_equal(losses, again)
    other = loss_trajectory(**game, model=MODEL, epochs=2, seed=1)  # type: ignore[arg-type]
    assert (losses != other).all(axis=(1, 2)).any()


def test_losses_follow_the_order_of_the_samples(game: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(0).permutation(POOL)
    permuted = game | {"pool": game["pool"][order], "labels": game["labels"][order]}
    straight = loss_trajectory(**game, model=MODEL, epochs=2)  # type: ignore[arg-type]
    np.testing.assert_array_equal(loss_trajectory(**permuted, model=MODEL, epochs=2), straight[:, order])  # type: ignore[arg-type]


def test_only_the_softmax_of_a_teacher_matters(game: dict[str, np.ndarray]) -> None:
    shifted = game | {"teacher_logits": game["teacher_logits"] + 64.0}
    np.testing.assert_allclose(
        loss_trajectory(**shifted, model=MODEL, epochs=1),  # type: ignore[arg-type]
        loss_trajectory(**game, model=MODEL, epochs=1),  # type: ignore[arg-type]
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teacher_logits": np.zeros((2, 5, 10))}, r"teacher_logits: got shape \(2, 5, 10\) for 250 auxiliary samples"),
        ({"teacher_logits": np.full((2, AUXILIARY, 10), np.nan)}, "all finite"),
        ({"pool": np.zeros((POOL, 3), np.float32)}, "pool: got samples of shape"),
        ({"labels": np.full(POOL, 10)}, "labels: got"),
        ({"epochs": 0}, "epochs: got 0"),
    ],
    ids=["shape", "nan", "pool", "labels", "epochs"],
)
def test_bad_input_is_named(game: dict[str, np.ndarray], change: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        loss_trajectory(**game | {"model": MODEL, "epochs": 1} | change)  # type: ignore[arg-type]
