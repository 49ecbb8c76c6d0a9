"""Small network whose cycles can be checked by hand: 1x8x8 input, convolution, pool, flatten, linear."""

from __future__ import annotations

import numpy as np

from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region


def small_network(region: Region | None = None, w_bits: int = 8) -> Network:
    rng = np.random.default_rng(0)
    half = 1 << (w_bits - 1)
    weight = QTensor(rng.integers(-half, half, (8, 1, 3, 3)), Format(w_bits, signed=True))
    conv = Layer(
        "conv", Op.CONV, (INPUT,), Format(8), 1.0, weight, np.zeros(8, np.int64),
        requantizer(0.01, Format(8), relu=True), Geometry((3, 3), (1, 1), (1, 1)), region,
    )  # fmt: skip
    pool = Layer("pool", Op.MAX_POOL, ("conv",), Format(8), geometry=Geometry((2, 2), (2, 2)))
    flat = Layer("flat", Op.FLATTEN, ("pool",), Format(8))
    head = QTensor(rng.integers(-127, 128, (10, 128)), Format(8, signed=True))
    return Network(
        Format(8), (1, 8, 8), 1 / 255,
        (conv, pool, flat, Layer("head", Op.LINEAR, ("flat",), LOGITS, 0.5, head, np.zeros(10, np.int64))),
    )  # fmt: skip
