"""Codes that are kept are those of the definition, and keeping them changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.engine import execute as module
from hwsim.engine.execute import available, execute
from hwsim.errors import UnknownName
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.kernels.inference.instructions import Emit
from hwsim.network.fixed_point import add_requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op
from tests.support.agree import COMPILED, U8, assert_same, by_reference, random_codes, spreading, steps, tensor, threads
from tests.support.networks import networks_with_inputs


def assert_keeps(network: Network, codes: np.ndarray, keep: tuple[str, ...], kernels: str) -> None:
    """Exactly the values of `keep`, each in the smallest dtype of its format, equal to the definition's."""
    done, got = reference.run(network, codes), execute(network, codes, kernels, keep)
    assert_same(got, by_reference(network, codes))
    assert tuple(got.codes) == tuple(dict.fromkeys(keep))
    for name, kept in got.codes.items():
        np.testing.assert_array_equal(kept, done[name])
        format = network.formats[name]
        assert kept.dtype.kind == ("i" if format.signed else "u")
        assert kept.dtype.itemsize == {True: 1, False: 2}[format.bits <= 8] or name == network.layers[-1].name


@settings(max_examples=200, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.data())
def test_kept_codes_are_those_of_the_definition(case, data):
    network, codes = case
    names = st.sampled_from([INPUT, *(layer.name for layer in network.layers)])
    keep = tuple(data.draw(st.lists(names, max_size=8)))
    for kernels in available():
        assert_keeps(network, codes, keep, kernels)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks_with_inputs(), st.sampled_from((1, 300, module.CHUNK_BYTES)), st.sampled_from((1, 2)))
def test_chunks_and_threads_do_not_matter(case, chunk_bytes, count):
    network, codes = case
    keep = (INPUT, *(layer.name for layer in network.layers))
    with threads(count), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(module, "SHARED_WORK", 1)
        for part in (codes, codes[:1]):
            assert_keeps(network, part, keep, available()[0])
        nothing = execute(network, codes[:0], keep=keep)
    assert {name: kept.shape for name, kept in nothing.codes.items()} == {
        name: (0, *shape) for name, shape in network.shapes.items()
    }


def residual(format: Format = U8) -> Network:
    """A convolution whose result only an add reads: the kernels fuse the two."""
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


@pytest.mark.parametrize("kernels", COMPILED)
def test_a_value_that_fused_steps_never_write_is_written_when_it_is_kept(kernels):
    network, codes = residual(), random_codes(2, U8, 3, 4, 5, 5)
    assert Emit.BYTES_ADD in [emit for _, emit in steps(network, kernels)]
    for keep in (("conv",), ("add",), ("conv", "add", "input", "flat", "logits")):
        assert_keeps(network, codes, keep, kernels)
    assert Emit.BYTES_ADD in [emit for _, emit in steps(network, kernels)]  # who keeps nothing loses nothing


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(UnknownName, match=r"^keep: got convv; allowed: add, conv, .* Did you mean 'conv'\?"):
        execute(residual(), random_codes(2, U8, 3, 4, 5, 5), keep=("convv",))
