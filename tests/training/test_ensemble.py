"""The ensemble trains each model on its own members, independently of the other models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.datasets import Data
from hwsim.errors import BadInput
from hwsim.float_graph.graph import Node, sum_of_products
from hwsim.network.layer import Op
from hwsim.privacy.game import balanced_keep
from hwsim.registry import build
from hwsim.training import fit
from hwsim.training.ensemble import Members, initial_weights, train
from hwsim.training.grouped import GroupArithmetic

MODELS = 4


def check_progress(done: float) -> None:
    assert 0 <= done <= 1


@pytest.fixture(scope="module")
def digits() -> Data:
    data: Data = build("dataset", "digits", label_noise=0.15).load(0)
    return data


def pool(digits: Data, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return digits.x[:samples], digits.labels[:samples], balanced_keep(MODELS, samples, 0)


def test_members_are_fitted_better_than_non_members(digits: Data) -> None:
    x, labels, keep = pool(digits, 400)
    model = build("model", "mlp", hidden=(64,), epochs=60)
    right = train(model, Members(x, labels, keep), check_progress).logits(x).argmax(2) == labels
    assert right[keep].mean() > right[~keep].mean() + 0.05
    assert right[~keep].mean() > 0.5


def test_a_model_does_not_depend_on_the_other_models(digits: Data) -> None:
    x, labels, keep = pool(digits, 120)
    model = build("model", "mlp", hidden=(12,), epochs=2)
    together = train(model, Members(x, labels, keep, 0, 7)).weights
    alone = train(model, Members(x, labels, keep[2:3], 2, 7)).weights
    for name in together:
        torch.testing.assert_close(together[name][2:3], alone[name], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(digits: Data) -> None:
    x, labels, keep = pool(digits, 120)
    model = build("model", "small_cnn", channels=(4, 4), epochs=1)
    threads = torch.get_num_threads()
    first = train(model, Members(x, labels, keep, seed=3)).weights
    torch.set_num_threads(max(1, 3 - threads))
    second = train(model, Members(x, labels, keep, seed=3)).weights
    torch.set_num_threads(threads)
    other = train(model, Members(x, labels, keep, seed=4)).weights
    for name in first:
        assert torch.equal(first[name], second[name])
    assert not torch.equal(first["logits.weight"], other["logits.weight"])


def test_an_epoch_is_one_pass_over_the_members(digits: Data) -> None:
    x, labels, keep = pool(digits, 200)
    members = Members(x, labels, keep, 0, 5)
    order = members.order("train", 0, 16)
    assert order.shape == (MODELS, members.steps(16) * 16)
    for drawn, members_of_model in zip(order, keep, strict=True):
        assert set(drawn) == set(np.flatnonzero(members_of_model))
        assert np.unique(drawn[: members_of_model.sum()]).size == members_of_model.sum()
    assert (members.order("train", 1, 16) != order).any()


def test_members_of_wrong_shapes_are_refused(digits: Data) -> None:
    x, labels, keep = pool(digits, 40)
    with pytest.raises(BadInput, match="keep"):
        Members(x[:39], labels, keep)
    with pytest.raises(BadInput, match="without members"):
        Members(x, labels, np.zeros_like(keep))


def test_too_many_weights_are_refused_before_memory_is_allocated() -> None:
    members = Members(np.zeros((8, 30), np.float32), np.arange(8) % 2, balanced_keep(8, 8, 0))
    with pytest.raises(BadInput, match=r"model: got 4,297,129,983 weights in each of 8 models; allowed: 268,435,456"):
        train(build("model", "mlp", hidden=(65_536, 65_535)), members)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mlp", {"hidden": (12, 6)}),
        ("small_cnn", {"channels": (4, 5)}),
        ("small_resnet", {"channels": (3, 4)}),
        ("mlp", {"hidden": (8,), "adversarial_eps": 0.1, "adversarial_steps": 2}),
    ],
    ids=["mlp", "small_cnn", "small_resnet", "robust"],
)
def test_groups_and_threads_do_not_change_a_training(
    digits: Data, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict
) -> None:
    x, labels = digits.x[:90], digits.labels[:90]
    members = Members(x, labels, np.random.default_rng(0).random((7, 90)) < 0.5)
    model, threads = build("model", name, epochs=2, batch=16, **settings), torch.get_num_threads()
    together = train(model, members).weights
    monkeypatch.setattr(fit, "GROUP_BYTES", 1)
    trained = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        trained.append(train(model, members).weights)
        assert torch.get_num_threads() == count, "the setting of the caller is restored"
    torch.set_num_threads(threads)
    for weight in together:
        assert torch.equal(trained[0][weight], trained[1][weight]), weight
        assert torch.equal(trained[0][weight], trained[2][weight]), weight
        torch.testing.assert_close(trained[0][weight], together[weight], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("group", [slice(0, 2), slice(2, 5), slice(5, 7)])
def test_the_gradient_of_a_bias_has_the_same_bits_as_in_the_whole_ensemble(group: slice) -> None:
    torch.manual_seed(0)
    node = Node("fc", Op.LINEAR, ("input",))
    x, bias, gradient = torch.rand(33, 7 * 5), torch.rand(7, 10), torch.randn(33, 7 * 10)
    whole = bias.clone().requires_grad_()
    (torch.zeros(33, 70) + whole.reshape(-1)).backward(gradient)
    part = bias[group].clone().requires_grad_()
    weights = {"fc.weight": torch.rand(len(part), 10, 5), "fc.bias": part}
    y = GroupArithmetic(group, 7).product(node, x[:, group.start * 5 : group.stop * 5], weights)
    torch.testing.assert_close(
        y, sum_of_products(node, x[:, group.start * 5 : group.stop * 5], weights["fc.weight"], part)
    )
    y.backward(gradient[:, group.start * 10 : group.stop * 10])
    assert torch.equal(part.grad, whole.grad[group])


@pytest.mark.parametrize(("models", "group"), [(1, 4), (2, 1), (7, 2), (8, 3), (9, 4), (17, 2), (17, 100)])
def test_groups_contain_every_model_once_and_never_a_single_one(models: int, group: int) -> None:
    groups = fit.model_groups(models, group)
    assert [model for rows in groups for model in range(models)[rows]] == list(range(models))
    assert models == 1 or min(len(range(models)[rows]) for rows in groups) >= 2


def test_small_networks_have_large_groups_and_large_networks_small_ones() -> None:
    def size(name: str, shape: tuple[int, ...]) -> int:
        members = Members(np.zeros((4, *shape), np.float32), np.arange(4), np.ones((1, 4), np.bool_))
        model = build("model", name)
        return fit.models_per_group(*initial_weights(model, members, 4), model.batch)

    assert size("small_resnet", (3, 32, 32)) == 2
    assert size("small_cnn", (1, 8, 8)) in range(3, 9)
    assert size("mlp", (30,)) > 16


@pytest.mark.parametrize(("start", "steps"), [(3e-3, 1), (1e-3, 7), (0.1, 250)])
def test_the_learning_rates_equal_those_of_torch(start: float, steps: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], start)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert fit.cosine_rates(start, steps) == expected


def test_a_missing_device_is_refused(digits: Data) -> None:
    members = Members(digits.x[:20], digits.labels[:20], np.ones((2, 20), np.bool_))
    with pytest.raises(BadInput, match="device: got tpu; allowed: cpu"):
        train(build("model", "mlp", epochs=1), members, device="tpu")
    if not torch.cuda.is_available():
        with pytest.raises(BadInput, match="device: got cuda; allowed: cpu; torch finds no CUDA device here"):
            train(build("model", "mlp", epochs=1), members, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_trains_about_the_same(digits: Data) -> None:
    members = Members(digits.x[:90], digits.labels[:90], balanced_keep(MODELS, 90, 0))
    model = build("model", "small_cnn", channels=(4, 4), epochs=2)
    here, there = (train(model, members, device=device).logits(digits.x[:90]) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there, here, rtol=0.05, atol=0.05)
