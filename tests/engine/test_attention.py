"""One attention block end to end: kernels equal the definition, softmax and layer norm approximate real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim import reference
from hwsim.network.graph import overflow_free
from tests.support.agree import COMPILED, assert_cuts_agree, assert_kernels_agree
from tests.support.attention import FEATURES, HEADS, TOKENS, attention_block, attention_codes


@pytest.fixture(scope="module")
def block():
    return attention_block()


@pytest.fixture(scope="module")
def done(block):
    return reference.run(block, attention_codes())


def real(block, done, name: str) -> np.ndarray:
    """Return the real numbers that a layer's codes represent."""
    scale = block.input_scale if name == "input" else block[name].scale
    return block.formats[name].decode(done[name]) * scale


def test_every_kernel_gives_the_bits_of_the_reference(block):
    wanted = assert_kernels_agree(block, attention_codes())
    assert len(np.unique(wanted.outputs)) > 20
    for kernels in COMPILED:
        assert_cuts_agree(block, attention_codes(), kernels)


def test_shapes(block):
    assert block.shapes["q_heads"] == (HEADS, TOKENS, FEATURES // HEADS)
    assert block.shapes["k_heads"] == (HEADS, FEATURES // HEADS, TOKENS)
    assert block.shapes["scores"] == (HEADS, TOKENS, TOKENS) and block.shapes["joined"] == (TOKENS, FEATURES)
    assert all(overflow_free(block).values())


def test_layer_norm_is_close_to_real_layer_norm(block, done):
    x, layer = real(block, done, "input"), block["norm"]
    centered = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centered**2).mean(axis=-1, keepdims=True))
    normal = np.divide(centered, deviation, out=np.zeros_like(centered), where=deviation > 0)
    unit = 2.0**-12 / 64  # scale of the sums
    wanted = normal * layer.weight.values() / 64 + layer.bias * unit
    limit = 127 * layer.scale
    got = real(block, done, "norm")
    assert np.abs(got - np.clip(wanted, -limit - layer.scale, limit)).max() <= 0.52 * layer.scale
    assert len(np.unique(got)) > 50


def test_softmax_is_close_to_real_softmax(block, done):
    scores, got = real(block, done, "scores"), real(block, done, "soft")
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    wanted = np.minimum(weight / weight.sum(axis=-1, keepdims=True), 255 / 256)
    assert np.abs(got - wanted).max() <= 0.51 / 256
    assert np.abs(got.sum(axis=-1) - 1).max() <= TOKENS / 2 / 256
    assert len(np.unique(got)) > 20


def test_values_are_weighted_by_their_probabilities(block, done):
    probability, v = real(block, done, "soft"), real(block, done, "v_heads")
    got = real(block, done, "mixed")
    assert np.abs(got - probability @ v).max() <= 0.51 * block["mixed"].scale
    assert np.abs(got).max() > 20 * block["mixed"].scale
