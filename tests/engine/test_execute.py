"""Compiled execution equals the definition, bit for bit."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import DEFINITION, available
from hwsim.errors import BadInput
from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.kernels.inference import instructions
from hwsim.network.graph import Network, bounds, overflow_free
from hwsim.network.layer import INT32, Geometry, Layer, Op, Overflow, Region, Rounding, Thresholds
from tests.support.agree import (
    COMPILED,
    assert_cuts_agree,
    assert_kernels_agree,
    conv,
    execute,
    network,
    random_codes,
    steps,
)
from tests.support.networks import networks, networks_with_inputs

U8, S8 = Format(8), Format(8, signed=True)


def may_fall_back(network: Network) -> bool:
    """Return whether kernels may lack a network: values beyond 16 bits, or wide or saturating sums with regions."""
    wide = any(math.log2(f.value_range[1] - f.value_range[0] + 1) > 16 for f in list(network.formats.values())[:-1])
    regions = [layer for layer in network.layers if layer.region is not None]
    return wide or any(
        layer.accumulator != INT32 or network.formats[layer.inputs[0]].bits > 8 or layer.weight.format.bits > 8
        for layer in regions
    )


def policies(network: Network) -> set[object]:
    """Return the choices of HQ1 that `network` uses, and kinds and epilogues of its compiled steps."""
    found: set[object] = {"zero point"} if network.input.zero_point else set()
    for layer in network.layers:
        r, g = layer.requantizer, layer.geometry
        found |= {layer.op, layer.accumulator.overflow, layer.output.kind}
        found |= {"operand twice"} if len(set(layer.inputs)) < len(layer.inputs) else set()
        found |= {Thresholds if isinstance(r, Thresholds) else r.rounding} if r is not None else set()
        found |= {("weight", layer.weight.format.kind)} if layer.weight is not None else set()
        found |= {"region"} if layer.region is not None else set()
        found |= {"dilation"} if max(g.dilation) > 1 else set()
        found |= {"padding_end"} if g.padding_end not in (None, g.padding) else set()
        found |= {"groups"} if g.groups > 1 else set()
        found |= {"wide"} if layer.accumulator.bits > 32 else set()
    if not may_fall_back(network) and COMPILED:
        found.update((type(step), step) for pair in steps(network, COMPILED[0]) for step in pair if step is not None)
    return found


EVERYTHING = {
    *Op, *Overflow, *Rounding, Thresholds, "region", "dilation", "padding_end", "groups", "wide", "zero point",
    "operand twice", Kind.UNIFORM, Kind.BINARY, Kind.MIDRISE, *(("weight", kind) for kind in Kind),
}  # fmt: skip
STEPS = {(type(step), step) for step in (*instructions.StepKind, *instructions.Epilogue)} if COMPILED else set()


def binary_case() -> tuple[Network, np.ndarray]:
    """Return a network of bits, which drawn networks seldom are, and codes."""
    binary = Format(1, kind=Kind.BINARY)
    first = conv("first", "input", 5, 4, Geometry((2, 3)), w=binary, output=binary, r=Thresholds(np.array([[0]]), 0))
    net = network(binary, (5, 6, 7), first, conv("out", "first", 4, 3, last=True))
    return net, random_codes(1, binary, 3, 5, 6, 7)


def test_every_kernel_gives_the_bits_of_the_reference_with_every_policy():
    met: set[object] = set()

    @settings(max_examples=600, deadline=None, derandomize=True)
    @given(networks_with_inputs())
    @example(binary_case())
    def compare(case):
        network, codes = case
        assert_kernels_agree(network, codes, compiles=not may_fall_back(network))
        met.update(policies(network))

    compare()
    assert (EVERYTHING | STEPS) - met == set()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.sampled_from(COMPILED or (DEFINITION,)))
def test_bits_do_not_depend_on_batches_chunks_and_threads(case, kernels):
    assert_cuts_agree(*case, kernels)


def test_an_unknown_kernel_raises():
    network = convolution(np.ones((1, 1, 3, 3)))
    assert available()[-1] == DEFINITION and len(set(available())) == len(available())
    with pytest.raises(BadInput, match=f"kernels: got fastest; allowed: .*{DEFINITION}"):
        execute(network, np.zeros((1, 1, 6, 7), np.int8), "fastest")


def convolution(weight, region=None, bias=0, x=U8, w=S8) -> Network:
    """Return a network of one convolution (3 x 3, padding 1) with raw accumulators as outputs."""
    layer = Layer(
        "conv", Op.CONV, ("input",), LOGITS, weight=QTensor(np.asarray(weight, dtype=np.int64), w),
        bias=np.full(len(weight), bias), geometry=Geometry((3, 3), (1, 1), (1, 1)), region=region,
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


@pytest.mark.parametrize(
    ("rounding", "coarse"),
    [
        (Rounding.HALF_UP, [0, 1, 1, 2, 15]),
        (Rounding.HALF_EVEN, [0, 0, 1, 2, 15]),
        (Rounding.HALF_AWAY, [0, 1, 1, 2, 15]),
        (Rounding.FLOOR, [0, 0, 0, 1, 15]),
        (Rounding.TRUNC, [0, 0, 0, 1, 15]),
    ],
)
def test_coarse_codes_are_rounded_by_the_rule_of_the_region(rounding, coarse):
    weight, low = np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 3, 3), np.int64)
    low[0, 0, 1, 1] = 1
    codes = np.zeros((1, 1, 6, 7), np.int64)
    codes[0, 0, 0, :5] = 7, 8, 9, 24, 255
    network = convolution(weight, Region(1, 1, 2**31 - 1, low, rounding=rounding))
    wanted = assert_kernels_agree(network, codes)
    np.testing.assert_array_equal(wanted.outputs.reshape(6, 7)[0, :5], np.array(coarse) << 8)


def test_each_tap_counts_with_the_region_of_its_input_pixel():
    weight, low = np.full((1, 1, 3, 3), 16), np.full((1, 1, 3, 3), 3)  # a coarse 3 has the value 48, unlike 16
    codes = np.zeros((1, 1, 6, 7), dtype=np.int64)
    codes[..., :3], codes[..., 3:] = 160, 16
    network = convolution(weight, Region(6, 3, 100 << 4, low))
    execution = execute(network, codes)
    assert execution.masks["conv"].tolist() == [[[True, False, False]]]
    center = execution.outputs.reshape(6, 7)[2, 3]  # its window has one column of 160 and two of 16
    assert center == 3 * 160 * 16 + ((6 * 1 * 3) << 8)


@pytest.mark.parametrize("bias", [2**31 - 1, -(2**31) + 1])
def test_sums_wrap_around_at_the_largest_magnitudes(bias):
    network = convolution(np.full((2, 2, 3, 3), -128 if bias < 0 else 127), bias=bias)
    codes = np.full((2, 2, 6, 7), 255)
    assert not overflow_free(network)["conv"]
    exact = 18 * 255 * (-128 if bias < 0 else 127) + bias
    center = execute(network, codes).outputs.reshape(2, 2, 6, 7)[0, 0, 2, 2]
    assert center == exact - np.sign(bias) * 2**32
    assert_kernels_agree(network, codes)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(networks_with_inputs())
def test_no_accumulator_exceeds_its_bound(case):
    network, codes = case
    proved, free, done = bounds(network), overflow_free(network), reference.run(network, codes)
    for layer in network.layers:
        if layer.name in proved and free[layer.name]:
            operands = [done[source] for source in layer.inputs]
            sums = reference.accumulate(layer, operands, [network.formats[source] for source in layer.inputs])
            axis = layer.channel_axis % sums.ndim
            largest = np.abs(sums).max(axis=tuple(a for a in range(sums.ndim) if a != axis), initial=0)
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
def test_invalid_inputs_raise(weight, inputs, words):
    with pytest.raises(BadInput, match=words):
        execute(convolution(weight), inputs)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_any_integer_dtype_and_memory_layout_is_accepted(weight, codes, dtype):
    expected = execute(convolution(weight), codes).outputs
    other = np.asfortranarray(codes.astype(dtype))
    other.setflags(write=False)
    np.testing.assert_array_equal(execute(convolution(weight), other).outputs, expected)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(available()))
def test_no_samples_give_no_outputs(network, kernels):
    execution = execute(network, np.zeros((0, *network.input_shape), dtype=np.int16), kernels)
    assert execution.outputs.shape == (0, math.prod(network.shapes[network.layers[-1].name]))
    assert all(len(mask) == 0 for mask in execution.masks.values())


def test_the_network_is_not_changed(weight, codes):
    network = convolution(weight, Region(2, 3, 900, np.zeros_like(weight)))
    before = [np.array(weight), np.array(codes)]
    execute(network, codes)
    np.testing.assert_array_equal(before[0], network["conv"].weight.codes)
    np.testing.assert_array_equal(before[1], codes)
    assert dataclasses.is_dataclass(network)
