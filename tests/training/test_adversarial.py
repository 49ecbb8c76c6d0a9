"""Adversarial inputs raise the loss inside their ball, verified bounds are valid, adversarial training helps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.datasets import Data
from hwsim.errors import BadInput
from hwsim.privacy.game import balanced_keep
from hwsim.registry import build
from hwsim.training.adversarial import pgd
from hwsim.training.distill import label_losses
from hwsim.training.ensemble import Ensemble, Members, train
from hwsim.training.interval_bounds import verified_logits

SAMPLES, EPS = 60, 0.06


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    digits: Data = build("dataset", "digits").load(0)
    return digits.x[:SAMPLES], digits.labels[:SAMPLES]


MODELS = {
    "mlp": build("model", "mlp", hidden=(16,), epochs=20, batch=8),
    "small_cnn": build("model", "small_cnn", channels=(3, 4), epochs=10, batch=8),
    "small_resnet": build("model", "small_resnet", channels=(3, 4), epochs=10, batch=8),
}


@pytest.fixture(scope="module", params=MODELS)
def ensemble(request: pytest.FixtureRequest, data: tuple[np.ndarray, np.ndarray]) -> Ensemble:
    return train(MODELS[request.param], Members(*data, balanced_keep(4, SAMPLES, 0)))


def own_logits(ensemble: Ensemble, inputs: np.ndarray) -> np.ndarray:
    """Logits [model, sample, class] of separate inputs for every model, [model, sample, ...]."""
    return np.stack([ensemble.logits(x)[model] for model, x in enumerate(inputs)])


def losses(ensemble: Ensemble, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.stack([label_losses(ensemble.graph, ensemble.weights, x, labels)[m] for m, x in enumerate(inputs)])


def test_pgd_raises_the_loss_inside_the_ball(ensemble: Ensemble, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    adversarial = pgd(ensemble, x, labels, EPS)
    assert adversarial.shape == (4, *x.shape)
    assert np.abs(adversarial - x).max() <= EPS * (1 + 1e-5)
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    plain = label_losses(ensemble.graph, ensemble.weights, x, labels)
    rng = np.random.default_rng(0)
    random = np.clip(x + EPS * rng.choice([-1, 1], (4, *x.shape)), 0, 1).astype(np.float32)
    raised = losses(ensemble, adversarial, labels)
    assert (raised >= plain - 1e-6).mean() > 0.95
    assert raised.mean() > losses(ensemble, random, labels).mean() + 0.5 * (raised - plain).mean()


def test_models_and_samples_are_perturbed_independently(
    ensemble: Ensemble, data: tuple[np.ndarray, np.ndarray]
) -> None:
    x, labels = data
    adversarial = pgd(ensemble, x, labels, EPS, steps=3)
    assert (adversarial[0] != adversarial[1]).any()
    order = np.random.default_rng(1).permutation(SAMPLES)
    np.testing.assert_array_equal(pgd(ensemble, x[order], labels[order], EPS, steps=3), adversarial[:, order])


def test_verified_bounds_are_valid_in_the_whole_ball(ensemble: Ensemble, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    worst, rng, one_hot = verified_logits(ensemble, x, labels, EPS), np.random.default_rng(0), np.eye(10)[labels] > 0
    corners = [np.clip(x + EPS * rng.choice([-1, 0, 1], (4, *x.shape)), 0, 1) for _ in range(6)]
    inside = [np.clip(x + EPS * rng.uniform(-1, 1, (4, *x.shape)), 0, 1) for _ in range(2)]
    adversarial = [pgd(ensemble, x, labels, EPS), pgd(ensemble, x, (labels + 1) % 10, EPS)]
    for inputs in [*corners, *inside, *adversarial]:
        out = own_logits(ensemble, inputs.astype(np.float32))
        slack = 1e-4 * np.abs(out).max()
        assert (out >= worst - slack)[:, one_hot].all()
        assert (out <= worst + slack)[:, ~one_hot].all()


def test_verified_bounds_converge_to_the_logits(ensemble: Ensemble, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    np.testing.assert_allclose(verified_logits(ensemble, x, labels, 0.0), ensemble.logits(x), rtol=1e-3, atol=1e-3)
    near, far = (verified_logits(ensemble, x, labels, eps) for eps in (0.01, 0.05))
    mine = np.eye(10)[labels] > 0
    assert (far < near)[:, mine].all()
    assert (far > near)[:, ~mine].all()


def test_bounds_of_one_unit_equal_a_calculation_by_hand() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU(), torch.nn.Linear(1, 2))
    values = {"0.weight": [[1.0, -2.0]], "0.bias": [0.5], "2.weight": [[1.0], [-1.0]], "2.bias": [0.0, 1.0]}
    net.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    from hwsim.interop.torch.reader import import_module

    ensemble = Ensemble(*import_module(net, (2,)))
    x, labels = np.array([[0.5, 0.25], [0.0, 1.0]], dtype=np.float32), np.array([0, 1])
    # first sample: hidden unit 0.5 - 0.5 + 0.5 within 0.3 of it; second: always off (0 - 2 + 0.5, at most -1.2)
    np.testing.assert_allclose(verified_logits(ensemble, x, labels, 0.1)[0], [[0.2, 0.8], [0, 1]], atol=1e-6)


def test_adversarial_training_makes_a_model_robust(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, labels = data
    members, recipe = (
        Members(x, labels, balanced_keep(4, SAMPLES, 0)),
        {"epochs": 60, "batch": 8, "learning_rate": 1e-2},
    )
    plain, robust = ({}, {"adversarial_eps": 0.2, "adversarial_steps": 3})
    models = [train(build("model", "mlp", hidden=(64,), **recipe | more), members) for more in (plain, robust)]
    right = [own_logits(e, pgd(e, x, labels, 0.2)).argmax(2) == labels for e in models]
    assert right[1][members.keep].mean() > right[0][members.keep].mean() + 0.4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eps": -0.1}, r"eps: got -0.1"),
        ({"eps": float("nan")}, r"eps: got nan"),
        ({"steps": 0}, r"steps: got 0; allowed: 1 or more"),
        ({"step_size": 0.0}, r"step_size: got 0.0"),
        ({"x": 2.0}, r"x: got values from 0 to 2; allowed: 0 to 1"),
        ({"labels": 3}, r"labels: got shape \(3,\)"),
    ],
    ids=str,
)
def test_bad_input_is_named(data: tuple[np.ndarray, np.ndarray], change: dict[str, float], words: str) -> None:
    x, labels = data
    ensemble = train(build("model", "mlp", hidden=(2,), epochs=1), Members(x, labels, balanced_keep(4, SAMPLES, 0)))
    x = x * np.float32(change["x"]) if "x" in change else x
    labels = labels[: change["labels"]] if "labels" in change else labels  # type: ignore[misc]
    rest = {name: value for name, value in change.items() if name not in ("x", "labels")}
    with pytest.raises(BadInput, match=words):
        pgd(ensemble, x, labels, **{"eps": 0.1} | rest)  # type: ignore[arg-type]
