"""Fast execution equals the definition, bit for bit."""

from __future__ import annotations

import dataclasses

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine import execute as module
from hwsim.engine.execute import execute
from hwsim.errors import BadInput
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.bounds import bounds, overflow_free
from hwsim.network.graph import Network
from hwsim.network.layer import Geometry, Layer, Op, Region
from tests.networks import networks, networks_with_inputs

U8, S8 = Format(8), Format(8, signed=True)


def assert_equals_reference(network, codes):
    execution = execute(network, codes)
    expected = reference.run(network, codes)
    last = network.layers[-1].name
    assert execution.outputs.dtype == np.int32
    np.testing.assert_array_equal(execution.outputs, expected[last].reshape(len(codes), -1))
    regions = {layer.name: layer for layer in network.layers if layer.region}
    assert execution.masks.keys() == regions.keys()
    for name, layer in regions.items():
        mask = reference.sensitive_regions(layer.region, expected[layer.inputs[0]])
        np.testing.assert_array_equal(execution.masks[name], mask)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_execution_equals_the_reference(case):
    assert_equals_reference(*case)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.sampled_from((1, 300, 3000)))
def test_bits_do_not_depend_on_batches_chunks_and_threads(case, chunk_bytes):
    network, codes = case
    whole = execute(network, codes)
    single = [execute(network, codes[i : i + 1]) for i in range(len(codes))]
    np.testing.assert_array_equal(whole.outputs, np.concatenate([e.outputs for e in single]))
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "CHUNK_BYTES", chunk_bytes)
            chunked = execute(network, codes)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(whole.outputs, chunked.outputs)
    for name, mask in whole.masks.items():
        np.testing.assert_array_equal(mask, chunked.masks[name])
        np.testing.assert_array_equal(mask, np.concatenate([e.masks[name] for e in single]))


def convolution(weight, region=None, bias=0, x=U8, w=S8) -> Network:
    """One convolution (3 x 3, padding 1) that emits its raw accumulators."""
    layer = Layer(
        "conv", Op.CONV, ("input",), LOGITS, weight=QTensor(weight, w), bias=np.full(len(weight), bias),
        geometry=Geometry((3, 3), (1, 1), (1, 1)), region=region,
    )  # fmt: skip
    return Network(x, (weight.shape[1], 6, 7), 1 / 255, (layer,))


@pytest.fixture
def weight():
    return np.random.default_rng(1).integers(-128, 128, (3, 2, 3, 3))


@pytest.fixture
def codes():
    return np.random.default_rng(2).integers(0, 256, (4, 2, 6, 7))


def test_threshold_0_is_the_plain_layer(weight, codes):
    low = np.zeros_like(weight)
    execution = execute(convolution(weight, Region(2, 3, 0, low)), codes)
    assert execution.masks["conv"].all() and execution.masks["conv"].shape == (4, 3, 3)
    np.testing.assert_array_equal(execution.outputs, execute(convolution(weight), codes).outputs)


def test_a_huge_threshold_is_the_coarse_layer(weight, codes):
    low = np.clip((weight + 8) >> 4, -8, 7)
    execution = execute(convolution(weight, Region(2, 3, 2**31 - 1, low)), codes)
    coarse = execute(convolution(low, x=Format(4), w=Format(4, signed=True)), np.minimum((codes + 8) >> 4, 15))
    assert not execution.masks["conv"].any()
    np.testing.assert_array_equal(execution.outputs, coarse.outputs.astype(np.int64) << 8)


def test_each_tap_counts_with_the_region_of_its_input_pixel():
    weight, low = np.full((1, 1, 3, 3), 16), np.full((1, 1, 3, 3), 3)  # a coarse 3 is 48: unlike 16 on purpose
    codes = np.zeros((1, 1, 6, 7), dtype=np.int64)
    codes[..., :3], codes[..., 3:] = 160, 16
    network = convolution(weight, Region(6, 3, 100 << 4, low))
    execution = execute(network, codes)
    assert execution.masks["conv"].tolist() == [[[True, False, False]]]
    centre = execution.outputs.reshape(6, 7)[2, 3]  # sees one column of 160 and two of 16
    assert centre == 3 * 160 * 16 + ((6 * 1 * 3) << 8)


@pytest.mark.parametrize("bias", [2**31 - 1, -(2**31) + 1])
def test_sums_wrap_around_at_the_largest_magnitudes(bias):
    network = convolution(np.full((2, 2, 3, 3), -128 if bias < 0 else 127), bias=bias)
    codes = np.full((2, 2, 6, 7), 255)
    assert not overflow_free(network)["conv"]
    exact = 18 * 255 * (-128 if bias < 0 else 127) + bias
    centre = execute(network, codes).outputs.reshape(2, 2, 6, 7)[0, 0, 2, 2]
    assert centre == exact - np.sign(bias) * 2**32
    assert_equals_reference(network, codes)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_no_accumulator_exceeds_its_bound(case):
    network, codes = case
    proved, done = bounds(network), reference.run(network, codes)
    for layer in network.layers:
        if layer.has_macs and overflow_free(network)[layer.name]:
            source = layer.inputs[0]
            sums = reference.accumulate(layer, [done[source]], [network.formats[source]])
            largest = np.abs(sums).max(axis=tuple(a for a in range(sums.ndim) if a != 1), initial=0)
            assert np.all(largest <= proved[layer.name])


def test_the_bound_is_reached(weight):
    network = convolution(np.abs(weight) * (weight < 127), bias=7)
    codes = np.full((1, 2, 6, 7), 255)
    inner = execute(network, codes).outputs.reshape(3, 6, 7)[:, 2, 2]
    np.testing.assert_array_equal(bounds(network)["conv"], inner)
    assert overflow_free(network) == {"conv": True}


def test_bound_of_a_region_layer_takes_the_larger_product(weight):
    low = np.full_like(weight, -8)
    expected = np.maximum(np.abs(weight) * 255, 8 * 15 * 256).sum(axis=(1, 2, 3))
    np.testing.assert_array_equal(bounds(convolution(weight, Region(2, 2, 5, low)))["conv"], expected)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (np.zeros((1, 2, 6, 7)), "inputs: got dtype float64"),
        (np.zeros((2, 6, 7), dtype=np.uint8), r"inputs: got shape \(2, 6, 7\); allowed: \[samples, 2, 6, 7\]"),
        (np.full((1, 2, 6, 7), 256), "inputs: got 256; allowed: codes 0 to 255"),
        (np.full((1, 2, 6, 7), -1), "inputs: got -1"),
        (np.int64(3), "inputs: got shape"),
    ],
)
def test_inputs_that_are_refused(weight, inputs, words):
    with pytest.raises(BadInput, match=words):
        execute(convolution(weight), inputs)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integer_dtype_and_layout_will_do(weight, codes, dtype):
    expected = execute(convolution(weight), codes).outputs
    other = np.asfortranarray(codes.astype(dtype))
    other.setflags(write=False)
    np.testing.assert_array_equal(execute(convolution(weight), other).outputs, expected)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(networks())
def test_no_samples_give_no_outputs(network):
    execution = execute(network, np.zeros((0, *network.input_shape), dtype=np.int16))
    assert execution.outputs.shape[0] == 0 and execution.outputs.ndim == 2
    assert all(len(mask) == 0 for mask in execution.masks.values())


def test_the_network_is_not_changed(weight, codes):
    network = convolution(weight, Region(2, 3, 900, np.zeros_like(weight)))
    before = [np.array(weight), np.array(codes)]
    execute(network, codes)
    np.testing.assert_array_equal(before[0], network["conv"].weight.codes)
    np.testing.assert_array_equal(before[1], codes)
    assert dataclasses.is_dataclass(network)
