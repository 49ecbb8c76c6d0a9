"""The ensemble trains each model on its own members, the same way whatever trains beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsim.datasets import Data
from hwsim.errors import BadInput
from hwsim.privacy.game import balanced_keep
from hwsim.quantizers import FakeQuantArithmetic
from hwsim.registry import build
from hwsim.training.ensemble import Members, fine_tune, train

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
    right = train(model, Members(x, labels, keep), quiet).logits(x).argmax(2) == labels
    assert right[keep].mean() > right[~keep].mean() + 0.05
    assert right[~keep].mean() > 0.5


def test_a_model_does_not_depend_on_its_neighbours(digits: Data) -> None:
    x, labels, keep = arena(digits, 120)
    model = build("model", "mlp", hidden=(12,), epochs=2)
    together = train(model, Members(x, labels, keep, 0, 7)).weights
    alone = train(model, Members(x, labels, keep[2:3], 2, 7)).weights
    for name in together:
        torch.testing.assert_close(together[name][2:3], alone[name], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bits(digits: Data) -> None:
    x, labels, keep = arena(digits, 120)
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
    x, labels, keep = arena(digits, 200)
    members = Members(x, labels, keep, 0, 5)
    order = members.order("train", 0, 16)
    assert order.shape == (MODELS, members.steps(16) * 16)
    for drawn, kept in zip(order, keep, strict=True):
        assert set(drawn) == set(np.flatnonzero(kept))
        assert np.unique(drawn[: kept.sum()]).size == kept.sum()
    assert (members.order("train", 1, 16) != order).any()


def test_members_that_do_not_fit_are_refused(digits: Data) -> None:
    x, labels, keep = arena(digits, 40)
    with pytest.raises(BadInput, match="keep"):
        Members(x[:39], labels, keep)
    with pytest.raises(BadInput, match="without members"):
        Members(x, labels, np.zeros_like(keep))


def test_fine_tuning_learns_steps_and_mends_accuracy(digits: Data) -> None:
    x, labels, keep = arena(digits, 400)
    members = Members(x, labels, keep)
    ensemble = train(build("model", "mlp", hidden=(32,), epochs=15), members)
    quantizer = build("quantizer", "lsq", w_bits=2, a_bits=2, epochs=8)
    start = quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(x[:64]))
    before = ensemble.logits(x, FakeQuantArithmetic(ensemble.graph, start)).argmax(2)
    tuned, scheme = fine_tune(ensemble, quantizer, x[:64], members)
    after = tuned.logits(x, FakeQuantArithmetic(tuned.graph, scheme)).argmax(2)
    assert (after == labels)[keep].mean() > (before == labels)[keep].mean()
    assert not torch.equal(scheme.grids["fc1.weight"].step, start.grids["fc1.weight"].step)


def test_more_weights_than_fit_are_refused_before_memory_is_taken() -> None:
    members = Members(np.zeros((8, 30), np.float32), np.arange(8) % 2, balanced_keep(8, 8, 0))
    with pytest.raises(BadInput, match=r"model: got 4,297,129,983 weights in each of 8 models; allowed: 268,435,456"):
        train(build("model", "mlp", hidden=(65_536, 65_535)), members)
