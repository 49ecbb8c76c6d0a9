"""Oracle: the reference kernels of TensorFlow Lite Micro (wheel tflite-micro). Profile tflm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.formats import Format, QTensor
from hwsim.network.fixed_point import add_requantizer, fixed_point
from hwsim.network.layer import (
    Accumulator,
    Geometry,
    Layer,
    Op,
    Requantizer,
    Rounding,
    Softmax,
    Thresholds,
)
from tests.oracles import adversary
from tests.oracles.adversary import KINDS, Products, Rng, Shapes
from tests.oracles.case import Case
from tests.oracles.group import Group, Oracle
from tests.oracles.tflm_model import Tensor, constant, run

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3
MIN_EXPONENT = -31
"""Smallest exponent of a scale that the tool does not replace by zero."""


def version() -> str:
    """Return the version of the wheel."""
    import tflite_micro

    return f"tflite-micro {tflite_micro.__version__}"


def double_rounding(ratios: NDArray[np.float64], low: int, high: int) -> Requantizer:
    """Return the tool's requantizer for 8-bit operands: a 31-bit mantissa, two roundings."""
    pairs = [fixed_point(float(r)) if math.frexp(float(r))[1] >= MIN_EXPONENT else (0, 0) for r in ratios]
    multiplier, shift = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    return Requantizer(multiplier, shift, low, high, Rounding.GEMMLOWP_DOUBLE)


def short_multiplier(ratios: NDArray[np.float64], low: int, high: int) -> Requantizer:
    """Return the tool's requantizer for 16-bit operands: a mantissa of 15 bits, one half-up rounding."""
    long = double_rounding(ratios, low, high)
    multiplier = np.minimum((long.multiplier + (1 << 15)) >> 16, 0x7FFF)
    return replace(long, multiplier=multiplier, shift=long.shift - 16, rounding=Rounding.HALF_UP)


def int8(rng: Rng) -> Format:
    """Draw signed bytes with an adversarial zero point."""
    return Format(8, signed=True, zero_point=adversary.zero_point(rng, Format(8, signed=True)))


def clip(rng: Rng, output: Format, scale: np.float32) -> tuple[int, int, int]:
    """Draw a fused activation of the tool; return it with its clip bounds."""
    activation = int(rng.choice([NONE, NONE, NONE, RELU, RELU6]))
    if activation == NONE:
        return activation, output.qmin, output.qmax
    high = output.qmax
    if activation == RELU6:
        high = min(high, output.zero_point + _half_away(np.float32(6) / scale))
    return activation, output.zero_point, high


def _half_away(value: np.float32) -> int:
    return int(np.sign(value) * np.floor(np.abs(np.float64(value)) + 0.5))


def window(rng: Rng, size: tuple[int, int], dilated: bool) -> tuple[Geometry, dict[str, Any], int]:
    """Draw a geometry for maps of `size`; return it with the tool's options and padding. SAME pads more at the end."""
    kernel = tuple(int(v) for v in rng.choice([1, 2, 3], 2))
    stride = tuple(int(v) for v in rng.choice([1, 2], 2))
    dilation = (1, 1)
    if dilated and rng.random() < 0.4:
        dilation, stride = (2, 2), (1, 1)
    padding = int(rng.choice([SAME, VALID]))
    pads = [(0, 0), (0, 0)]
    if padding == SAME:
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        rows = [ceil_div(n, s) for n, s in zip(size, stride, strict=True)]
        total = [max((r - 1) * s + span - n, 0) for r, s, span, n in zip(rows, stride, spans, size, strict=True)]
        pads = [(t // 2, t - t // 2) for t in total]
    starts, ends = zip(*pads, strict=True)
    geometry = Geometry(kernel, stride, starts, 1, dilation, ends)  # type: ignore[arg-type]
    settings = {
        "padding": padding,
        "strideH": stride[0],
        "strideW": stride[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
    }
    return geometry, settings, padding


def to_nhwc(x: NDArray[Any]) -> NDArray[Any]:
    """Move channels last, the tool's layout."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def to_nchw(x: NDArray[Any]) -> NDArray[Any]:
    """Move channels first, the layout of hwsim."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def ratios(p: Products) -> NDArray[np.float64]:
    """Return the ratios accumulator scale / output scale in float64, as the tool computes them."""
    return np.float64(p.x_scale) * p.w_scale.astype(np.float64) / np.float64(p.y_scale)


def conv(rng: Rng, samples: int, groups: tuple[int, ...] = (1, 1, 2)) -> Iterator[Case]:
    """CONV_2D with int8 weights per channel, dilated, grouped, padded, with fused activations."""
    for kind in KINDS:
        source, output, group = int8(rng), int8(rng), int(rng.choice(groups))
        geometry, settings, _ = window(rng, (6, 7), dilated=True)
        geometry = replace(geometry, groups=group)
        w_shape = (24, 6 // group, *geometry.kernel)
        p = adversary.draw(kind, rng, Shapes((samples, 6, 6, 7), w_shape, source, output))
        activation, low, high = clip(rng, output, p.y_scale)
        layer = _layer(Op.CONV, p, output, geometry, double_rounding(ratios(p), low, high))
        expected = run(
            "CONV_2D",
            "Conv2DOptions",
            settings | {"fusedActivationFunction": activation},
            [
                Tensor(to_nhwc(p.x).shape, np.int8, [p.x_scale], source.zero_point),
                constant(to_nhwc(p.w), np.int8, p.w_scale),
                constant(p.bias, np.int32, p.sum_scale),
            ],
            Tensor(_map_shape(p, geometry), np.int8, [p.y_scale], output.zero_point),
            to_nhwc(p.x),
        )
        yield Case(layer, (source,), (p.x,), to_nchw(expected))


def depthwise(rng: Rng, samples: int) -> Iterator[Case]:
    """DEPTHWISE_CONV_2D with one or two filters per channel."""
    for kind in KINDS:
        source, output, times = int8(rng), int8(rng), int(rng.choice([1, 2]))
        geometry, settings, _ = window(rng, (6, 7), dilated=True)
        geometry = replace(geometry, groups=12)
        shapes = Shapes((samples, 12, 6, 7), (12 * times, 1, *geometry.kernel), source, output)
        p = adversary.draw(kind, rng, shapes)
        activation, low, high = clip(rng, output, p.y_scale)
        layer = _layer(Op.CONV, p, output, geometry, double_rounding(ratios(p), low, high))
        expected = run(
            "DEPTHWISE_CONV_2D",
            "DepthwiseConv2DOptions",
            settings | {"fusedActivationFunction": activation, "depthMultiplier": times},
            [
                Tensor(to_nhwc(p.x).shape, np.int8, [p.x_scale], source.zero_point),
                constant(p.w.transpose(1, 2, 3, 0), np.int8, p.w_scale, axis=3),
                constant(p.bias, np.int32, p.sum_scale),
            ],
            Tensor(_map_shape(p, geometry), np.int8, [p.y_scale], output.zero_point),
            to_nhwc(p.x),
        )
        yield Case(layer, (source,), (p.x,), to_nchw(expected))


def fully_connected(rng: Rng, samples: int) -> Iterator[Case]:
    """FULLY_CONNECTED with one scale for all weights."""
    for kind in KINDS:
        source, output = int8(rng), int8(rng)
        p = adversary.draw(kind, rng, Shapes((samples, 20), (48, 20), source, output, per_channel=False))
        activation, low, high = clip(rng, output, p.y_scale)
        layer = _layer(Op.LINEAR, p, output, Geometry(), double_rounding(ratios(p), low, high))
        expected = run(
            "FULLY_CONNECTED",
            "FullyConnectedOptions",
            {"fusedActivationFunction": activation},
            [
                Tensor(p.x.shape, np.int8, [p.x_scale], source.zero_point),
                constant(p.w, np.int8, p.w_scale),
                constant(p.bias, np.int32, p.sum_scale),
            ],
            Tensor((samples, 48), np.int8, [p.y_scale], output.zero_point),
            p.x,
        )
        yield Case(layer, (source,), (p.x,), expected)


def conv_int16(rng: Rng, samples: int) -> Iterator[Case]:
    """CONV_2D with 16-bit codes, 8-bit weights, 64-bit biases, and a 48-bit accumulator."""
    format = Format(16, signed=True)
    for kind in (*KINDS, "short ties"):
        geometry, settings, _ = window(rng, (6, 7), dilated=True)
        w_shape = (24, 6, *geometry.kernel)
        shapes = Shapes((samples, 6, 6, 7), w_shape, format, format, sum_max=1 << 44)
        p = short_ties(rng, shapes) if kind == "short ties" else adversary.draw(kind, rng, shapes)
        layer = _layer(Op.CONV, p, format, geometry, short_multiplier(ratios(p), format.qmin, format.qmax))
        expected = run(
            "CONV_2D",
            "Conv2DOptions",
            settings,
            [
                Tensor(to_nhwc(p.x).shape, np.int16, [p.x_scale]),
                constant(to_nhwc(p.w), np.int8, p.w_scale),
                constant(p.bias, np.int64, p.sum_scale),
            ],
            Tensor(_map_shape(p, geometry), np.int16, [p.y_scale]),
            to_nhwc(p.x),
        )
        yield Case(replace(layer, accumulator=Accumulator(48)), (format,), (p.x,), to_nchw(expected))


def short_ties(rng: Rng, shapes: Shapes) -> Products:
    """Draw biases whose product with an odd 15-bit multiplier is a tie or next to it, solved modulo 2^shift."""
    p = adversary.draw("near ties", rng, shapes)
    multiplier = 2 * rng.integers(1 << 13, 1 << 14, len(p.w)) + 1
    shift = rng.integers(18, 26, len(p.w))
    offset = rng.integers(-1, 2, len(p.w))
    sums = [
        ((1 << (s - 1)) + d) * pow(m, -1, 1 << s) % (1 << s)
        for m, s, d in zip(multiplier.tolist(), shift.tolist(), offset.tolist(), strict=True)
    ]
    sums = [v - (1 << s) if v >> (s - 1) else v for v, s in zip(sums, shift.tolist(), strict=True)]
    scale = (multiplier * 2.0**-shift).astype(np.float32)
    return replace(p, bias=np.array(sums), x_scale=np.float32(1), w_scale=scale, y_scale=np.float32(1))


def average_pool(rng: Rng, samples: int) -> Iterator[Case]:
    """AVERAGE_POOL_2D without padding: it divides the sum of raw codes and rounds half away from zero.

    The division is a monotone function of the sum, hence a row of thresholds, without the zero point.
    """
    raw = Format(8, signed=True)
    for kind in ("random", "ties", "extremes"):
        size = tuple(int(v) for v in rng.integers(1, 5, 2))
        stride = tuple(int(v) for v in rng.integers(1, 3, 2))
        x = rng.integers(-128, 128, (samples, 24, 7, 8))
        if kind == "ties":
            x = rng.integers(-3, 4, x.shape)
        elif kind == "extremes":
            x = rng.choice([-128, 127], x.shape)
        zero_point = adversary.zero_point(rng, raw)
        geometry = Geometry(size, stride)
        layer = Layer("pool", Op.AVG_POOL, ("input",), raw, requantizer=division(math.prod(size)), geometry=geometry)
        rows, columns = geometry.output_size(7, 8)
        expected = run(
            "AVERAGE_POOL_2D",
            "Pool2DOptions",
            {
                "padding": VALID,
                "strideH": stride[0],
                "strideW": stride[1],
                "filterHeight": size[0],
                "filterWidth": size[1],
            },
            [Tensor(to_nhwc(x).shape, np.int8, [0.1], zero_point)],
            Tensor((samples, rows, columns, 24), np.int8, [0.1], zero_point),
            to_nhwc(x),
        )
        yield Case(layer, (raw,), (x,), to_nchw(expected))


def division(count: int) -> Thresholds:
    """Return thresholds that divide a sum by `count` and round to nearest, ties away from zero."""
    codes = np.arange(-127, 128)
    half = count // 2
    levels = np.where(codes > 0, codes * count - half, codes * count - count + 1 + half)
    return Thresholds(levels[None].astype(np.int64), -128)


def mean(rng: Rng, samples: int) -> Iterator[Case]:
    """MEAN over rows and columns: 1/n is divided into the mantissa, rounded down, before the double rounding."""
    for kind in ("random", "ties", "near ties", "extremes"):
        source, output = int8(rng), int8(rng)
        size = tuple(int(v) for v in rng.integers(2, 9, 2))
        count = math.prod(size)
        x = rng.integers(-128, 128, (samples, 96, *size))
        x_scale, y_scale = np.float32(rng.uniform(0.01, 1)), np.float32(rng.uniform(0.01, 1))
        if kind == "ties":
            size = (4, 4)
            count = 16
            x = np.clip(rng.integers(-9, 10, (samples, 96, 4, 4)) + source.zero_point, -128, 127)
            x_scale, y_scale = np.float32(0.5), np.float32(0.5 * 2.0 ** -int(rng.integers(-1, 4)))
        elif kind == "near ties":
            tie = (rng.integers(1, 100) + 0.5) * count / rng.integers(100, 2000)
            x_scale = adversary.nudge(rng, np.array([tie], np.float32) * y_scale)[0]
        elif kind == "extremes":
            x = rng.choice([-128, 127], x.shape)
            y_scale = x_scale
        layer = Layer(
            "mean",
            Op.GLOBAL_AVG_POOL,
            ("input",),
            output,
            requantizer=mean_requantizer(float(x_scale) / float(y_scale), count),
        )
        expected = run(
            "MEAN",
            "ReducerOptions",
            {"keepDims": True},
            [
                Tensor(to_nhwc(x).shape, np.int8, [x_scale], source.zero_point),
                constant(np.array([1, 2]), np.int32),
            ],
            Tensor((samples, 1, 1, 96), np.int8, [y_scale], output.zero_point),
            to_nhwc(x),
        )
        yield Case(layer, (source,), (x,), to_nchw(expected))


def mean_requantizer(ratio: float, count: int) -> Requantizer:
    """Return the requantizer whose mantissa is that of `ratio` divided by `count`, rounded down."""
    multiplier, shift = fixed_point(ratio)
    bits = min(count.bit_length() - 1, 32, 62 - shift)
    folded = np.array([(multiplier << bits) // count], dtype=np.int64)
    return Requantizer(folded, np.array([shift + bits], dtype=np.int64), -128, 127, Rounding.GEMMLOWP_DOUBLE)


def add(rng: Rng, samples: int) -> Iterator[Case]:
    """ADD against the nearest policy of HQ1: one multiplier per operand, one shift, one rounding half away."""
    for kind in ("random", "ties", "near ties", "extremes"):
        a_format, b_format, output = int8(rng), int8(rng), int8(rng)
        a, b = rng.integers(-128, 128, (2, samples, 24, 6, 7))
        a_scale, b_scale, y_scale = rng.uniform(0.01, 0.1, 3).astype(np.float32)
        if kind == "ties":
            a_scale, b_scale, y_scale = np.float32(0.25), np.float32(0.5), np.float32(1)
        elif kind == "near ties":
            tie = np.array([(rng.integers(1, 40) + 0.5) / rng.integers(41, 200)], np.float32) * y_scale
            a_scale = b_scale = adversary.nudge(rng, tie)[0]
        elif kind == "extremes":
            a, b = rng.choice([-128, 127], (2, *a.shape))
        r = add_requantizer(float(a_scale) / float(y_scale), float(b_scale) / float(y_scale), output, relu=False)
        r = replace(r, rounding=Rounding.HALF_AWAY)
        layer = Layer("add", Op.ADD, ("a", "b"), output, requantizer=r)
        expected = run(
            "ADD",
            "AddOptions",
            {},
            [
                Tensor(to_nhwc(a).shape, np.int8, [a_scale], a_format.zero_point),
                Tensor(to_nhwc(b).shape, np.int8, [b_scale], b_format.zero_point),
            ],
            Tensor(to_nhwc(a).shape, np.int8, [y_scale], output.zero_point),
            to_nhwc(a),
            to_nhwc(b),
        )
        yield Case(layer, (a_format, b_format), (a, b), to_nchw(expected))


def softmax(rng: Rng, samples: int) -> Iterator[Case]:
    """SOFTMAX int8 against HQ1's table of 30-bit weights and its one rounded division."""
    output = Format(8, signed=True, zero_point=-128)
    for kind in ("random", "close", "extremes"):
        source, classes = int8(rng), int(rng.choice([2, 10, 17]))
        scale = np.float32(rng.uniform(0.01, 0.3))
        x = rng.integers(-128, 128, (64 * samples, classes))
        if kind == "close":
            x = np.clip(rng.integers(-9, 10, x.shape) + source.zero_point, -128, 127)
        elif kind == "extremes":
            x = rng.choice([-128, 127], x.shape)
        table = np.floor(np.exp(-np.arange(256) * np.float64(scale)) * 2**30 + 0.5).astype(np.int64)
        layer = Layer("softmax", Op.SOFTMAX, ("input",), output, softmax=Softmax(table, 256))
        expected = run(
            "SOFTMAX",
            "SoftmaxOptions",
            {"beta": 1.0},
            [Tensor(x.shape, np.int8, [scale], source.zero_point)],
            Tensor(x.shape, np.int8, [1 / 256], -128),
            x,
        )
        yield Case(layer, (source,), (x,), expected)


def _layer(op: Op, p: Products, output: Format, geometry: Geometry, r: Requantizer) -> Layer:
    weight = QTensor(p.w.astype(np.int8), Format(8, signed=True, narrow_range=True))
    return Layer("layer", op, ("input",), output, weight=weight, bias=p.bias, requantizer=r, geometry=geometry)


def _map_shape(p: Products, geometry: Geometry) -> tuple[int, ...]:
    """Return the shape of the output map, channels last."""
    return len(p.x), *geometry.output_size(*p.x.shape[2:]), len(p.w)


ORACLE = Oracle(
    "tflm",
    "tflite_micro",
    version,
    (
        Group("tflm", "CONV_2D int8, per channel", "gemmlowp_double", conv),
        Group("tflm", "DEPTHWISE_CONV_2D int8", "gemmlowp_double", depthwise),
        Group("tflm", "FULLY_CONNECTED int8", "gemmlowp_double", fully_connected, samples=128, golden=8),
        Group("tflm", "AVERAGE_POOL_2D int8, no padding", "thresholds", average_pool),
        Group("tflm", "MEAN int8 over a map", "gemmlowp_double, 1/n in the multiplier", mean, samples=128, golden=2),
        Group("tflm", "CONV_2D int16x8", "half_up, 15-bit multiplier, 48-bit sums", conv_int16),
        Group(
            "tflm",
            "ADD int8",
            "half_away",
            add,
            "the tool shifts both operands left by 20 bits and rounds three times; HQ1 rounds once",
        ),
        Group(
            "tflm",
            "SOFTMAX int8",
            "table and one division",
            softmax,
            "the tool approximates exponential and reciprocal in fixed point; HQ1 looks weights up and divides",
        ),
    ),
)
