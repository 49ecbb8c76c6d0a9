"""Quantizing does not depend on the unit of the data, and no integer is clipped in silence."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import hwsim
from hwsim import reference
from hwsim.errors import HwsimError
from hwsim.network.graph import Network

UNITS = (1e-30, 1e-12, 1e-7, 1e-6, 1e-3, 1e3, 1e7, 1e30)
CASES = {
    "minmax": {},
    "minmax, 1 bit": {"w_bits": 1},
    "minmax, 4 bits": {"w_bits": 4, "a_bits": 4},
    "drq": {},
}


def mlp(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def small_cnn() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).eval()


def images() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(64, 1, 6, 6)).astype(np.float32)


def values(network: Network, x: np.ndarray) -> np.ndarray:
    """Return the real logits of the definition."""
    outputs = reference.run(network, network.encode(x))[network.layers[-1].name].reshape(len(x), -1)
    scales = np.broadcast_to(np.asarray(network.layers[-1].weight.scale, float), outputs.shape[1])
    return outputs * (network.logit_scale / scales[0]) * scales


def quantized(net: nn.Module, x: np.ndarray, case: str = "minmax", labels: np.ndarray | None = None) -> Network:
    quantizer = hwsim.build("quantizer", case.partition(",")[0], **CASES.get(case, {}))
    return hwsim.quantize(net, quantizer, x, labels)


def relative_error(net: nn.Module, x: np.ndarray, case: str = "minmax") -> float:
    with torch.no_grad():
        right = net(torch.from_numpy(x)).numpy().reshape(len(x), -1)
    return float(np.abs(values(quantized(net, x, case), x) - right).max() / np.abs(right).max())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("case", CASES)
def test_the_error_does_not_depend_on_the_unit_of_the_input(case, unit):
    net, x = small_cnn(), images()
    in_unit_one = relative_error(net, x, case)
    with torch.no_grad():
        net[0].weight.div_(unit)
    assert relative_error(net, x * np.float32(unit), case) == pytest.approx(in_unit_one, rel=1e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_the_error_does_not_depend_on_the_unit_of_the_output_or_of_a_layer(unit):
    net, x = mlp(), np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    wanted = relative_error(net, x)
    with torch.no_grad():
        net[2].weight.mul_(unit)
        net[2].bias.mul_(unit)
    assert relative_error(net, x) == pytest.approx(wanted, rel=1e-3)
    with torch.no_grad():  # now the unit of the hidden layer alone
        net[2].bias.div_(unit)
        net[2].weight.div_(unit).div_(unit)
        net[0].weight.mul_(unit)
        net[0].bias.mul_(unit)
    assert relative_error(net, x) == pytest.approx(wanted, rel=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(-99, 99), st.sampled_from(sorted(CASES)))
def test_units_that_are_powers_of_two_give_the_same_integers(exponent, case):
    net, x = small_cnn(), images()
    plain = quantized(net, x, case)
    with torch.no_grad():
        net[0].weight.mul_(2.0**-exponent)
    scaled = quantized(net, x * np.float32(2.0**exponent), case)
    for a, b in zip(plain.layers, scaled.layers, strict=True):
        if a.weight is not None:
            np.testing.assert_array_equal(a.weight.codes, b.weight.codes)
            np.testing.assert_array_equal(a.bias, b.bias)
        if a.requantizer is not None:
            np.testing.assert_array_equal(a.requantizer.multiplier, b.requantizer.multiplier)
        assert (a.region is None) or a.region.threshold == b.region.threshold


@pytest.mark.parametrize("unit", [1e-20, 1e-7, 1e-3, 1e7])
def test_fine_tuning_does_not_depend_on_the_unit_of_the_input(unit):
    """The steps of the fine-tuning have the size of the learning rate, which once was larger than such scales."""
    net, x = mlp(), np.random.default_rng(2).normal(size=(256, 16)).astype(np.float32)
    with torch.no_grad():
        labels = net(torch.from_numpy(x)).argmax(1).numpy()
        net[0].weight.div_(unit)
    scaled = x * np.float32(unit)
    correct = (values(quantized(net, scaled, "lsq", labels), scaled).argmax(1) == labels).mean()
    assert correct > 0.94


@pytest.mark.parametrize("unit", [1.0, 1e-12])
@pytest.mark.parametrize("bias", [1.0, 1e6, 1e12])
def test_a_bias_beyond_the_accumulator_widens_the_step_and_says_so(bias, unit):
    net, x = mlp(), np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32) * np.float32(unit)
    with torch.no_grad():
        net[0].weight.div_(unit)
        net[0].weight[2:4].mul_(1e-9)
        net[0].bias[2:4] = torch.tensor([bias, -bias])
    with pytest.warns(UserWarning, match=r"^layer '_0': sums with its bias need more .* \(channel 2: "):
        error = relative_error(net, x)
    assert error < 0.02
    assert all(hwsim.overflow_free(quantized_quietly(net, x)).values())


def quantized_quietly(net: nn.Module, x: np.ndarray, case: str = "minmax") -> Network:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantized(net, x, case)


def test_a_bias_of_the_last_layer_widens_its_one_step():
    net, x = mlp(), np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    with torch.no_grad():
        net[2].bias[1] = 3e9
    with pytest.warns(UserWarning, match=r"^layer '_2': "):
        assert relative_error(net, x) < 1e-6


@pytest.mark.parametrize("case", ["minmax", "drq"])
@pytest.mark.parametrize("bias", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("zero", ["input", "a filter", "all weights", "a dead layer", "weights of the last layer"])
def test_tensors_of_zeros_have_no_unit(zero, bias, case):
    """The output is then made of biases, of any size, and is right; nothing is told, for nothing is lost."""
    net, x = small_cnn(), images()
    with torch.no_grad():
        for layer in (net[0], net[2], net[5]):
            layer.bias.mul_(bias)
        if zero == "a dead layer":
            net[0].bias.copy_(-1e3 * torch.ones(4) * bias)
            net[0].weight.mul_(min(bias, 1.0))
        if zero == "a filter":
            net[0].weight[1] = 0
        if zero == "all weights":
            net[0].weight.zero_()
        if zero == "weights of the last layer":
            net[5].weight.zero_()
        right = net(torch.from_numpy(x * (zero != "input"))).numpy()
    x = x * np.float32(zero != "input")
    network = quantized_quietly(net, x, case)
    outputs = values(network, x)
    assert np.abs(outputs - right).max() <= 0.08 * np.abs(right).max()


def test_values_that_are_not_finite_are_refused():
    net, x = mlp(), np.ones((4, 16), np.float32)
    with torch.no_grad():
        net[0].weight[1, 1] = torch.nan
    with pytest.raises(HwsimError, match=r"^model: _0\.weight has values that are not finite"):
        quantized(net, x)
    with torch.no_grad():
        net[0].weight.fill_(3e38)
    with pytest.raises(HwsimError, match=r"^model: the output of layer '_0' is not finite on the calibration data"):
        quantized(net, x)


def test_a_range_wider_than_float32_has_a_step():
    net, x = mlp(), np.full((4, 16), 3e38, np.float32) * np.array([1, -1] * 8, np.float32)
    with torch.no_grad():
        net[0].weight.mul_(1e-36)
    assert relative_error(net, x) < 0.03


def test_scales_are_ordered_as_their_units():
    net, x = mlp(), np.random.default_rng(1).normal(size=(64, 16)).astype(np.float32)
    scales = [quantized_quietly(net, x * np.float32(unit)).input_scale for unit in sorted(UNITS)]
    assert all(a < b for a, b in pairwise(scales))
