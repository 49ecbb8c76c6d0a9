"""The ensemble trains each model on its own members, the same way whatever trains beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.datasets import Data
from hwsim.privacy.game import balanced_keep
from hwsim.registry import build
from hwsim.rng import derive_seed
from hwsim.training.ensemble import _Members, fine_tune, float_logits, train

MODELS = 4


def quiet(done: float) -> None:
    assert 0 <= done <= 1


@pytest.fixture(scope="module")
def digits() -> Data:
    data: Data = build("dataset", "digits", label_noise=0.15).load(0)
    return data


def arena(digits: Data, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return digits.x[:samples], digits.labels[:samples], balanced_keep(MODELS, samples, 0)


def test_members_are_fitted_better_than_others(digits: Data) -> None:
    x, labels, keep = arena(digits, 400)
    model = build("model", "mlp", hidden=(64,), epochs=60)
    graph, weights = train(model, x, labels, keep, 0, 0, quiet)
    right = float_logits(graph, weights, x).argmax(2) == labels
    assert right[keep].mean() > right[~keep].mean() + 0.05
    assert right[~keep].mean() > 0.5


def test_a_model_does_not_depend_on_its_neighbours(digits: Data) -> None:
    x, labels, keep = arena(digits, 120)
    model = build("model", "mlp", hidden=(12,), epochs=2)
    _, together = train(model, x, labels, keep, 0, 7, quiet)
    _, alone = train(model, x, labels, keep[2:3], 2, 7, quiet)
    for name in together:
        torch.testing.assert_close(together[name][2:3], alone[name], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(digits: Data) -> None:
    x, labels, keep = arena(digits, 120)
    model = build("model", "small_cnn", channels=(4, 4), epochs=1)
    threads = torch.get_num_threads()
    first = train(model, x, labels, keep, 0, 3, quiet)[1]
    torch.set_num_threads(max(1, 3 - threads))
    second = train(model, x, labels, keep, 0, 3, quiet)[1]
    torch.set_num_threads(threads)
    other = train(model, x, labels, keep, 0, 4, quiet)[1]
    for name in first:
        assert torch.equal(first[name], second[name])
    assert not torch.equal(first["logits.weight"], other["logits.weight"])


def test_an_epoch_is_one_pass_over_the_members(digits: Data) -> None:
    x, labels, keep = arena(digits, 200)
    members = _Members(x, labels, keep, 0, 5, "train")
    order = np.concatenate([y.numpy() for _, y in members.epoch(0, 16)], axis=1)
    for model in range(MODELS):
        drawn = members._order(model, 0, members.steps(16) * 16)
        assert set(drawn) == set(np.flatnonzero(keep[model]))
        np.testing.assert_array_equal(labels[drawn], order[model])
    assert derive_seed(5, "a") != derive_seed(5, "b")


def test_fine_tuning_learns_steps_and_mends_accuracy(digits: Data) -> None:
    from hwsim.quantizers import FakeQuantArithmetic
    from hwsim.training.ensemble import ensemble_logits

    x, labels, keep = arena(digits, 400)
    graph, weights = train(build("model", "mlp", hidden=(32,), epochs=15), x, labels, keep, 0, 0, quiet)
    quantizer = build("quantizer", "lsq", w_bits=2, a_bits=2, epochs=8)
    start = quantizer.scheme(graph, weights, torch.from_numpy(x[:64]))
    before = ensemble_logits(graph, weights, x, FakeQuantArithmetic(graph, start)).argmax(2)
    tuned, scheme = fine_tune(graph, weights, quantizer, x[:64], x, labels, keep, 0, 0, 64, quiet)
    after = ensemble_logits(graph, tuned, x, FakeQuantArithmetic(graph, scheme)).argmax(2)
    assert (after == labels)[keep].mean() > (before == labels)[keep].mean()
    assert not torch.equal(scheme.grids["fc1.weight"].step, start.grids["fc1.weight"].step)
