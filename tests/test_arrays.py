"""Arguments that should be arrays: they work, or one line names the argument and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import hwsim
from hwsim.errors import BadInput
from tests.support.small_network import small_network

X = np.random.default_rng(0).random((2, 1, 8, 8)).astype(np.float32)
LABELS, KEEP = np.zeros(2, np.int64), np.ones((3, 2), np.bool_)
NETWORK = small_network()
CODES = NETWORK.encode(X)


def quantize(calibration: object) -> object:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3)).eval()
    return hwsim.quantize(net, hwsim.build("quantizer", "minmax"), calibration).input_scale


def simulate(inputs: object) -> object:
    return hwsim.simulate(NETWORK, hwsim.build("accelerator", sorted(hwsim.family("accelerator"))[0]), inputs).outputs


def train(**fields: object) -> object:
    members = hwsim.Members(**{"x": X[:, 0, 0], "labels": LABELS, "keep": KEEP} | fields)
    return hwsim.train(hwsim.build("model", "mlp", hidden=(2,), epochs=1), members).logits(X[:, 0, 0])


REAL: dict[str, Callable[[object], object]] = {
    "calibration": quantize,
    "inputs": NETWORK.encode,
    "inputs ": simulate,
    "members.x": lambda x: train(x=x if not isinstance(x, np.ndarray) or x.ndim < 4 else x[:, 0, 0]),
}
"""Argument -> call with real values for it."""

WRONG = {
    "a number": np.float32(1),
    "a masked array": np.ma.array(X, mask=X > 0.9),
    "None": None,
    "objects": X.astype(object),
    "text": "x",
    "an array of text": X.astype(str),
    "complex": X.astype(complex),
    "a ragged list": [[1], [1, 2]],
    "a set": {1},
    "NaN": np.where(np.arange(128).reshape(X.shape) == 83, np.nan, X),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("argument", REAL)
def test_what_is_no_array_of_real_numbers_is_refused_in_one_line(argument, wrong):
    value = WRONG[wrong]
    if argument == "members.x" and wrong == "NaN":
        value = np.full((2, 8), np.nan)
    with pytest.raises(BadInput, match=f"^{argument.strip()}[:[]") as caught:
        REAL[argument](value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("argument", ["calibration", "inputs", "inputs "])
def test_lists_and_tensors_are_arrays(argument):
    wanted = REAL[argument](X)
    read_only = X.copy()
    read_only.setflags(write=False)
    for same in (X.tolist(), torch.from_numpy(X), torch.tensor(X, requires_grad=True), read_only, np.asfortranarray(X)):
        np.testing.assert_array_equal(REAL[argument](same), wanted)


def test_memory_mapped_inputs_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(NETWORK.encode(mapped), CODES)
    np.testing.assert_array_equal(quantize(mapped), quantize(X))
    np.testing.assert_array_equal(simulate(mapped), simulate(X))


def test_nan_is_named_with_its_index():
    nan = X.copy()
    nan[1, 0, 2, 3] = np.nan
    with pytest.raises(BadInput, match=r"^inputs\[1, 0, 2, 3\]: got NaN; allowed: numbers$"):
        NETWORK.encode(nan)
    with pytest.raises(BadInput, match=r"^calibration\[1, 0, 2, 3\]: got nan; allowed: finite numbers$"):
        quantize(nan)


def test_infinite_inputs_are_clipped():
    codes = NETWORK.encode(np.where(X > 0.5, np.inf, -np.inf))
    np.testing.assert_array_equal(codes, np.where(X > 0.5, 255, 0))


@pytest.mark.parametrize(
    "wrong", [None, 3, "x", CODES > 0, CODES.astype(object), CODES * 1.0, CODES[0], np.ma.array(CODES)]
)
def test_codes_are_integers(wrong):
    with pytest.raises(BadInput, match=r"^inputs: "):
        hwsim.execute(NETWORK, wrong)


def test_codes_of_any_container_are_equal():
    wanted = hwsim.execute(NETWORK, CODES).outputs
    for same in (CODES.tolist(), torch.from_numpy(CODES), CODES.astype(np.uint8)):
        np.testing.assert_array_equal(hwsim.execute(NETWORK, same).outputs, wanted)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"keep": None}, r"members\.keep: got None"),
        ({"keep": KEEP * 1.0}, r"members\.keep: got dtype float64; .* truth values"),
        ({"keep": np.array(True)}, r"members: got .* keep \(\)"),
        ({"labels": LABELS * 1.5}, r"members\.labels: got dtype float64; .* integers"),
        ({"labels": LABELS - 5}, r"members\.labels: got -5; allowed: classes from 0"),
        ({"labels": ["a", "b"]}, r"members\.labels: got dtype <U1"),
    ],
)
def test_members(fields, words):
    with pytest.raises(BadInput, match=f"^{words}"):
        train(**fields)


def test_lists_make_the_same_members():
    lists = train(x=X[:, 0, 0].tolist(), labels=LABELS.tolist(), keep=KEEP.tolist())
    np.testing.assert_array_equal(lists, train())


@pytest.mark.parametrize("keep", [None, np.ones((3, 2)), np.array(True), [[1, 2], [3]]])
def test_game(keep):
    with pytest.raises(BadInput, match=r"^game\.keep: "):
        hwsim.Game(keep, LABELS)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [((None, 3, 0), "models"), ((4.0, 3, 0), "models"), ((4, "3", 0), "samples"), ((4, 3, None), "seed"),
     ((4, 3, 0, [True]), "first")],
)  # fmt: skip
def test_balanced_keep(arguments, place):
    with pytest.raises(BadInput, match=f"^game\\.{place}: "):
        hwsim.balanced_keep(*arguments)


@pytest.mark.parametrize("shape", [(8, 8, 8, 1), (8, 8, 8), (8, 1, 9, 9), (8,)])
def test_calibration_of_another_shape_names_the_first_layer_that_does_not_take_it(shape):
    words = r"^calibration: got .*shape .*; allowed: (the shape that layer '_[03]' takes|\[samples, )"
    with pytest.raises(BadInput, match=words) as caught:
        quantize(np.ones(shape, np.float32))
    assert "\n" not in str(caught.value)


def test_things_in_the_place_of_others():
    for call, place in (
        (lambda: hwsim.execute(None, CODES), "network"),
        (lambda: hwsim.simulate(NETWORK, None, CODES), "accelerator"),
        (lambda: hwsim.quantize(NETWORK, None, X), "model"),
        (lambda: hwsim.quantize(nn.Linear(2, 2), None, X), "quantizer"),
        (lambda: hwsim.quantize_ensemble(None, hwsim.build("quantizer", "minmax"), X), "ensemble"),
        (lambda: hwsim.train(None, None), "model"),
        (lambda: hwsim.audit([], None, [], 0), "game"),
    ):
        with pytest.raises(BadInput, match=f"^{place}: got a "):
            call()
