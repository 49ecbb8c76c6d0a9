"""Captured codes equal the definition's, and capturing changes no other result."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine.execute import Schedule, available
from hwsim.errors import BadInput, UnknownName
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.kernels.inference.instructions import Epilogue
from hwsim.network.fixed_point import add_requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op
from tests.support.agree import (
    COMPILED,
    SHARED,
    U8,
    assert_same,
    by_reference,
    execute,
    random_codes,
    spreading,
    steps,
    tensor,
    threads,
)
from tests.support.networks import networks_with_inputs


def assert_captures(
    network: Network, codes: np.ndarray, capture: tuple[str, ...], kernels: str, schedule: Schedule = SHARED
) -> None:
    """Exactly the values of `capture`, each in the smallest dtype of its format, equal to the definition's."""
    done, got = reference.run(network, codes), execute(network, codes, kernels, capture, schedule)
    assert_same(got, by_reference(network, codes))
    assert tuple(got.codes) == tuple(dict.fromkeys(capture))
    for name, captured in got.codes.items():
        np.testing.assert_array_equal(captured, done[name])
        format = network.formats[name]
        assert captured.dtype.kind == ("i" if format.signed else "u")
        assert captured.dtype.itemsize == {True: 1, False: 2}[format.bits <= 8] or name == network.layers[-1].name


@settings(max_examples=200, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.data())
def test_captured_codes_equal_the_definition(case, data):
    network, codes = case
    names = st.sampled_from([INPUT, *(layer.name for layer in network.layers)])
    capture = tuple(data.draw(st.lists(names, max_size=8)))
    for kernels in available():
        assert_captures(network, codes, capture, kernels)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.sampled_from((1, 300, SHARED.chunk_bytes)), st.sampled_from((1, 2)))
def test_captured_codes_do_not_depend_on_chunks_and_threads(case, chunk_bytes, count):
    network, codes = case
    capture = (INPUT, *(layer.name for layer in network.layers))
    schedule = dataclasses.replace(SHARED, chunk_bytes=chunk_bytes)
    with threads(count):
        for part in (codes, codes[:1]):
            assert_captures(network, part, capture, available()[0], schedule)
        nothing = execute(network, codes[:0], capture=capture, schedule=schedule)
    assert {name: captured.shape for name, captured in nothing.codes.items()} == {
        name: (0, *shape) for name, shape in network.shapes.items()
    }


def residual(format: Format = U8) -> Network:
    """Return a convolution whose result only an add reads: the kernels fuse the two."""
    w = random_codes(1, Format(8, signed=True), 4, 4, 3, 3)
    conv = Layer(
        "conv", Op.CONV, (INPUT,), format, weight=tensor(w), bias=np.zeros(4, np.int64),
        requantizer=spreading(36), geometry=Geometry((3, 3), padding=(1, 1)),
    )  # fmt: skip
    add = Layer("add", Op.ADD, ("conv", INPUT), format, requantizer=add_requantizer(0.5, 0.5, format, relu=False))
    flat = Layer("flat", Op.FLATTEN, ("add",), format)
    end = Layer(
        "logits", Op.LINEAR, ("flat",), LOGITS, weight=QTensor(np.ones((2, 100), np.int8), Format(8, signed=True)),
        bias=np.zeros(2, np.int64),
    )  # fmt: skip
    return Network(format, (4, 5, 5), 1.0, (conv, add, flat, end))


@st.composite
def dense_residuals(draw: st.DrawFn) -> Network:
    """Convolutions and adds of earlier values, all of one shape and of bytes, so that many adds can be fused."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names, layers = [INPUT], []
    for number in range(draw(st.integers(2, 9))):
        name = f"layer{number}"
        if draw(st.booleans()):
            w = rng.integers(-8, 8, (4, 4, 1, 1), dtype=np.int8)
            layers.append(
                Layer(
                    name, Op.CONV, (draw(st.sampled_from(names[-3:])),), U8, weight=tensor(w),
                    bias=rng.integers(-50, 50, 4), requantizer=spreading(36),
                )
            )  # fmt: skip
        else:
            pair = draw(st.sampled_from(names[-3:])), draw(st.sampled_from(names[-3:]))
            layers.append(Layer(name, Op.ADD, pair, U8, requantizer=add_requantizer(0.5, 0.75, U8, relu=False)))
        names.append(name)
    end = Layer("logits", Op.CONV, (names[-1],), LOGITS, weight=tensor(rng.integers(-8, 8, (3, 4, 1, 1), np.int8)),
                bias=np.zeros(3, np.int64))  # fmt: skip
    return Network(U8, (4, 3, 3), 1.0, (*layers, end))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(dense_residuals(), st.data())
def test_any_values_of_a_residual_network_are_captured(network, data):
    """Whichever operands of an add are captured, the program that stores them is found."""
    names = st.sampled_from([INPUT, *(layer.name for layer in network.layers)])
    capture = tuple(data.draw(st.lists(names, min_size=1, max_size=8)))
    assert_captures(network, random_codes(3, U8, 2, 4, 3, 3), capture, available()[0])


@pytest.mark.parametrize("kernels", COMPILED)
def test_both_convolutions_of_an_add_are_captured(kernels):
    network = residual()
    other = dataclasses.replace(network["conv"], name="other")
    add = dataclasses.replace(network["add"], inputs=("conv", "other"))
    both = dataclasses.replace(network, layers=(network["conv"], other, add, *network.layers[2:]))
    for capture in (("conv", "other"), ("other", "conv", "add"), ("conv",), ("other",)):
        assert_captures(both, random_codes(2, U8, 3, 4, 5, 5), capture, kernels)


@pytest.mark.parametrize("kernels", COMPILED)
def test_a_value_that_fused_steps_never_store_is_stored_when_it_is_captured(kernels):
    network, codes = residual(), random_codes(2, U8, 3, 4, 5, 5)
    assert Epilogue.BYTES_ADD in [epilogue for _, epilogue in steps(network, kernels)]
    for capture in (("conv",), ("add",), ("conv", "add", "input", "flat", "logits")):
        assert_captures(network, codes, capture, kernels)
    # without a capture the fused program is used again
    assert Epilogue.BYTES_ADD in [epilogue for _, epilogue in steps(network, kernels)]


def test_an_unknown_name_raises():
    with pytest.raises(UnknownName, match=r"^capture: got convv; allowed: add, conv, .* Did you mean 'conv'\?"):
        execute(residual(), random_codes(2, U8, 3, 4, 5, 5), capture=("convv",))


def test_one_name_that_is_no_list_raises():
    with pytest.raises(BadInput, match=r"^capture: got 'conv'; allowed: a list of names of layers\."):
        execute(residual(), random_codes(2, U8, 3, 4, 5, 5), capture="conv")
