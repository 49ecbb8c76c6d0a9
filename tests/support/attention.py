"""A small integer attention block with the scales of its codes."""

from __future__ import annotations

import numpy as np

from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.fixed_point import add_requantizer, requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, NORM_BITS, Layer, Op, Softmax

TOKENS, FEATURES, HEADS, CLASSES = 5, 12, 3, 4
DEPTH = FEATURES // HEADS

S8 = Format(8, signed=True)
X = Format(8, signed=True, zero_point=9)
PROBABILITY = Format(8, signed=True, zero_point=-128)
"""256 codes for a probability of 1, as in TFLite."""

INPUT_SCALE, NORM_SCALE, SCORE_SCALE, VALUE_SCALE = 1 / 32, 1 / 32, 1 / 16, 1 / 24
WEIGHT_SCALE = 1 / 256


def attention_block() -> Network:
    """Return layer norm, q, k and v, heads, softmax of scores, values, projection, residual add and logits."""
    rng = np.random.default_rng(11)

    def dense(name: str, source: str, inputs: int, outputs: int, scale: float | None) -> Layer:
        weight = QTensor(rng.integers(-127, 128, (outputs, inputs)).astype(np.int8), S8, WEIGHT_SCALE)
        bias = rng.integers(-300, 300, outputs)
        source_scale = VALUE_SCALE if source == "joined" else NORM_SCALE
        if scale is None:
            return Layer(name, Op.LINEAR, (source,), LOGITS, INPUT_SCALE * WEIGHT_SCALE, weight, bias)
        r = requantizer(source_scale * WEIGHT_SCALE / scale, S8, relu=False)
        return Layer(name, Op.LINEAR, (source,), S8, scale, weight, bias, r)

    def split(name: str, axes: tuple[int, ...]) -> tuple[Layer, Layer]:
        """Split [token, feature] into [head, token, depth], or another order of these axes."""
        return (
            Layer(f"{name}_split", Op.RESHAPE, (name,), S8, VALUE_SCALE, shape=(TOKENS, HEADS, DEPTH)),
            Layer(f"{name}_heads", Op.TRANSPOSE, (f"{name}_split",), S8, VALUE_SCALE, axes=axes),
        )

    gamma = QTensor(rng.integers(60, 128, FEATURES).astype(np.int8), S8, 1 / 64)
    norm_ratio = 2.0**-NORM_BITS / 64 / NORM_SCALE
    norm = Layer("norm", Op.LAYER_NORM, (INPUT,), S8, NORM_SCALE, gamma, rng.integers(-40_000, 40_000, FEATURES),
                 requantizer(norm_ratio, S8, relu=False))  # fmt: skip
    scores = Layer("scores", Op.MATMUL, ("q_heads", "k_heads"), S8, SCORE_SCALE, requantizer=requantizer(
        VALUE_SCALE**2 / DEPTH**0.5 / SCORE_SCALE, S8, relu=False))  # fmt: skip
    table = np.floor((2**31 - 1) * np.exp(-np.arange(256) * SCORE_SCALE)).astype(np.int64)
    soft = Layer("soft", Op.SOFTMAX, ("scores",), PROBABILITY, 1 / 256, softmax=Softmax(table, 256))
    mixed = Layer("mixed", Op.MATMUL, ("soft", "v_heads"), S8, VALUE_SCALE,
                  requantizer=requantizer(1 / 256, S8, relu=False))  # fmt: skip
    layers = [norm]
    for name, axes in (("q", (1, 0, 2)), ("k", (1, 2, 0)), ("v", (1, 0, 2))):
        layers += [dense(name, "norm", FEATURES, FEATURES, VALUE_SCALE), *split(name, axes)]
    layers += [
        scores, soft, mixed,
        Layer("back", Op.TRANSPOSE, ("mixed",), S8, VALUE_SCALE, axes=(1, 0, 2)),
        Layer("joined", Op.RESHAPE, ("back",), S8, VALUE_SCALE, shape=(TOKENS, FEATURES)),
        dense("projected", "joined", FEATURES, FEATURES, INPUT_SCALE),
        Layer("sum", Op.ADD, ("projected", INPUT), X, INPUT_SCALE, requantizer=add_requantizer(1, 1, X, relu=False)),
        Layer("flat", Op.FLATTEN, ("sum",), X, INPUT_SCALE),
        dense("logits", "flat", TOKENS * FEATURES, CLASSES, None),
    ]  # fmt: skip
    return Network(X, (TOKENS, FEATURES), INPUT_SCALE, tuple(layers))


def attention_codes(samples: int = 7) -> np.ndarray:
    """Return random inputs, among them a constant and an extreme sample."""
    codes = np.random.default_rng(12).integers(X.qmin, X.qmax + 1, (samples, TOKENS, FEATURES))
    codes[0] = 50
    codes[1] = np.where(np.arange(FEATURES) % 2, X.qmin, X.qmax)
    return codes
