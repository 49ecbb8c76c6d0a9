"""Quantization-aware training: it improves accuracy, learns scales, and resumes with the same bits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from hwsim.datasets import Data
from hwsim.privacy.game import balanced_keep
from hwsim.quantizers.fine_tune import fine_tune
from hwsim.quantizers.lowering.fake_quant import FakeQuantArithmetic
from hwsim.quantizers.quantize import quantize_ensemble
from hwsim.registry import build
from hwsim.training.ensemble import Ensemble, Members, train
from tests.support.interrupted_training import StopAfter, Stopped, assert_same

MODELS = 4


def members_of(samples: int, first: int = 0, seed: int = 0) -> Members:
    data: Data = build("dataset", "digits", label_noise=0.15).load(0)
    return Members(data.x[:samples], data.labels[:samples], balanced_keep(MODELS, samples, 0), first, seed)


def test_fine_tuning_learns_scales_and_improves_accuracy() -> None:
    members = members_of(400)
    x, labels, keep = members.x, members.labels, members.keep
    ensemble = train(build("model", "mlp", hidden=(32,), epochs=15), members)
    quantizer = build("quantizer", "lsq", w_bits=2, a_bits=2, epochs=8)
    start = quantizer.scheme(ensemble.graph, ensemble.weights, torch.from_numpy(x[:64]))
    before = ensemble.logits(x, FakeQuantArithmetic(ensemble.graph, start)).argmax(2)
    tuned, scheme = fine_tune(ensemble, quantizer, x[:64], members)
    after = tuned.logits(x, FakeQuantArithmetic(tuned.graph, scheme)).argmax(2)
    assert (after == labels)[keep].mean() > (before == labels)[keep].mean()
    assert not torch.equal(scheme.quant_params["fc1.weight"].scale, start.quant_params["fc1.weight"].scale)


def test_an_interrupted_fine_tuning_continues_with_the_same_bits(tmp_path: Path) -> None:
    members = members_of(120, first=2, seed=5)
    model = build("model", "small_cnn", channels=(3, 4), epochs=1, batch=16, weight_decay=1e-3)
    ensemble: Ensemble = train(model, members)
    quantizer = build("quantizer", "lsq", w_bits=3, a_bits=3, epochs=3)
    straight, want = fine_tune(ensemble, quantizer, members.x[:32], members)
    with pytest.raises(Stopped):
        fine_tune(ensemble, quantizer, members.x[:32], members, 64, StopAfter(2), tmp_path / "c")
    last = StopAfter()
    tuned, scheme = fine_tune(ensemble, quantizer, members.x[:32], members, 64, last, tmp_path / "c")
    assert_same(tuned.weights, straight.weights)
    assert_same(scheme.scales(), want.scales())
    assert last.run == 1
    assert not (tmp_path / "c").exists()


def test_learned_scales_are_rounded_to_powers_of_two() -> None:
    members = members_of(40)
    ensemble = train(build("model", "mlp", hidden=(6,), epochs=1), members)
    quantizer = build("quantizer", "lsq", w_bits=3, a_bits=3, epochs=2, power_of_two=True)
    network = quantize_ensemble(ensemble, quantizer, members.x, members)[0]
    scales = [network.input_scale, *(layer.scale for layer in network.layers)]
    assert all(math.frexp(scale)[0] == 0.5 for scale in scales)
