"""Oracle: the integer operators of onnxruntime on the CPU. Profile ort."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import LOGITS, Format, QTensor
from hwsim.network.fixed_point import add_requantizer, fixed_point
from hwsim.network.layer import Geometry, Layer, Op, Requantizer, Rounding, Thresholds
from tests.oracles import adversary
from tests.oracles.adversary import KINDS, Floats, Products, Rng, Shapes
from tests.oracles.case import Case
from tests.oracles.group import Group, Oracle
from tests.oracles.ort_model import run

MICROSOFT = "com.microsoft"
BYTES = {True: np.int8, False: np.uint8}
ORT_KINDS = (*KINDS, "wrap")


def version() -> str:
    """Return the version of onnxruntime, and the weight width where the processor saturates pair products."""
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}" + ("" if weight_limit() == 127 else " (weights of 7 bits)")


@cache
def weight_limit() -> int:
    """Return the largest weight with exact kernels: 63 on processors that saturate sums of two products."""
    x, w = np.full((1, 64), 255, np.uint8), np.full((64, 16), 127, np.int8)
    sums = run("MatMulInteger", [x, w, np.uint8(0)], np.int32)
    return 127 if (sums == 64 * 255 * 127).all() else 63


def float_bits(scale: Floats) -> NDArray[np.int64]:
    """Return the bits of float32 scales, the encoding of a multiplier."""
    return np.atleast_1d(scale).astype(np.float32).view(np.uint32).astype(np.int64)


def float_requantizer(scale: Floats, output: Format) -> Requantizer:
    """Return the requantizer of a float32 scale, rounded half to even."""
    bits = float_bits(scale)
    return Requantizer(bits, np.zeros(len(bits), np.int64), output.qmin, output.qmax, Rounding.F32_HALF_EVEN)


def byte_format(rng: Rng, signed: bool | None = None) -> Format:
    """Draw signed or unsigned bytes with an adversarial zero point."""
    plain = Format(8, signed=bool(rng.integers(2)) if signed is None else signed)
    return replace(plain, zero_point=adversary.zero_point(rng, plain))


def typed(format: Format, codes: NDArray[np.int64] | int) -> NDArray[np.integer]:
    """Return codes in the tool's dtype for `format`."""
    return np.asarray(codes).astype(BYTES[format.signed])


def window(rng: Rng, groups: tuple[int, ...] = (1, 2, 3)) -> tuple[Geometry, dict[str, list[int] | int]]:
    """Draw a geometry with uneven padding, dilation and groups; return it with the attributes of the ONNX operator."""
    kernel, stride = (tuple(int(v) for v in rng.integers(1, top, 2)) for top in (4, 3))
    dilation = tuple(int(v) for v in rng.choice([1, 1, 2], 2))
    top, left, bottom, right = (int(v) for v in rng.integers(0, 3, 4))
    g = Geometry(kernel, stride, (top, left), int(rng.choice(groups)), dilation, (bottom, right))  # type: ignore[arg-type]
    settings = {
        "kernel_shape": list(kernel),
        "strides": list(stride),
        "pads": [top, left, bottom, right],
        "dilations": list(dilation),
        "group": g.groups,
    }
    return g, settings


def conv_integer(rng: Rng, samples: int) -> Iterator[Case]:
    """ConvInteger: bare accumulators over groups, dilations and uneven pads."""
    for kind in ("random", "extremes"):
        source = byte_format(rng)
        geometry, settings = window(rng)
        shapes = Shapes(
            (samples, 6, 7, 8), (24, 6 // geometry.groups, *geometry.kernel), source, LOGITS, weight_limit()
        )
        p = adversary.draw(kind, rng, shapes)
        expected = run(
            "ConvInteger",
            [typed(source, p.x), p.w.astype(np.int8), typed(source, source.zero_point)],
            np.int32,
            **settings,
        )
        layer = replace(_layer(Op.CONV, p, LOGITS, geometry), bias=np.zeros(len(p.w), np.int64))
        yield Case(layer, (source,), (p.x,), expected)


def matmul_integer(rng: Rng, samples: int) -> Iterator[Case]:
    """MatMulInteger: bare accumulators; once with sums that overflow 32 bits and wrap."""
    for kind, terms in (("random", 33), ("extremes", 1024), ("extremes", 1 << 17)):
        source = byte_format(rng)
        outputs, rows = (64, samples) if terms < 1 << 17 else (8, 2)
        p = adversary.draw(kind, rng, Shapes((rows, terms), (outputs, terms), source, LOGITS, weight_limit()))
        expected = run(
            "MatMulInteger",
            [typed(source, p.x), p.w.T.astype(np.int8), typed(source, source.zero_point)],
            np.int32,
        )
        layer = replace(_layer(Op.LINEAR, p, LOGITS, Geometry()), bias=np.zeros(outputs, np.int64))
        yield Case(layer, (source,), (p.x,), expected)


def qlinear_conv(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearConv with weights per channel: float32 scale (x * w) / y, half to even, then the zero point."""
    for kind in ORT_KINDS:
        source = byte_format(rng)
        output = byte_format(rng, source.signed)
        geometry, settings = window(rng)
        w_shape = (24, 6 // geometry.groups, *geometry.kernel)
        p = adversary.draw(kind, rng, Shapes((samples, 6, 7, 8), w_shape, source, output, weight_limit()))
        layer = replace(
            _layer(Op.CONV, p, output, geometry), requantizer=float_requantizer(p.sum_scale / p.y_scale, output)
        )
        inputs = [
            typed(source, p.x),
            p.x_scale,
            typed(source, source.zero_point),
            p.w.astype(np.int8),
            p.w_scale,
            np.zeros(len(p.w), np.int8),
            p.y_scale,
            typed(output, output.zero_point),
            p.bias.astype(np.int32),
        ]
        expected = run("QLinearConv", [np.asarray(v) for v in inputs], BYTES[output.signed], **settings)
        yield Case(layer, (source,), (p.x,), expected)


def qlinear_matmul(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearMatMul with one scale per column; it has no bias."""
    for kind in ("random", "ties", "extremes", "upscale"):
        source = byte_format(rng)
        output = byte_format(rng, source.signed)
        p = adversary.draw(kind, rng, Shapes((samples, 20), (48, 20), source, output, weight_limit()))
        if kind == "ties":
            p = replace(p, x=rng.integers(source.qmin, source.qmax + 1, p.x.shape))
        layer = replace(
            _layer(Op.LINEAR, p, output, Geometry()),
            bias=np.zeros(48, np.int64),
            requantizer=float_requantizer(p.sum_scale / p.y_scale, output),
        )
        inputs = [
            typed(source, p.x),
            p.x_scale,
            typed(source, source.zero_point),
            p.w.T.astype(np.int8),
            p.w_scale,
            np.zeros(48, np.int8),
            p.y_scale,
            typed(output, output.zero_point),
        ]
        expected = run("QLinearMatMul", [np.asarray(v) for v in inputs], BYTES[output.signed])
        yield Case(layer, (source,), (p.x,), expected)


def quantize_ties(rng: Rng, samples: int) -> Iterator[Case]:
    """QuantizeLinear of integers by powers of two: half of the inputs are exact ties of both signs."""
    for _ in range(2):
        output = byte_format(rng)
        shift = rng.integers(1, 9, 24)
        codes = _near_output(rng, samples, shift)
        r = Requantizer(np.ones(24, np.int64), shift, output.qmin, output.qmax, Rounding.HALF_EVEN)
        yield _quantize(codes, np.exp2(shift).astype(np.float32), output, r)


def quantize_any(rng: Rng, samples: int) -> Iterator[Case]:
    """QuantizeLinear of 16-bit integers by any scale: a monotone function, hence thresholds."""
    every = np.arange(-(1 << 15), 1 << 15)
    for near in (False, True):
        output = byte_format(rng)
        scale = np.exp(rng.uniform(0, 5, 24)).astype(np.float32)
        if near:
            scale = adversary.nudge(rng, (rng.integers(99, 9999, 24) / (rng.integers(0, 99, 24) + 0.5)).astype("f4"))
        codes = _near_output(rng, samples, np.log2(scale))
        wanted = np.rint(every.astype(np.float32) / scale[:, None]) + output.zero_point  # float32 throughout
        steps = np.arange(output.qmin + 1, output.qmax + 1)
        levels = np.stack([every[0] + np.searchsorted(row, steps) for row in wanted])
        yield _quantize(codes, scale, output, Thresholds(levels, output.qmin))


def qlinear_add(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearAdd against the nearest policy of HQ1: one multiplier per operand, one shift, one rounding half up."""
    for kind in ("random", "ties", "extremes"):
        signed = bool(rng.integers(2))
        a_format, b_format, output = (byte_format(rng, signed) for _ in range(3))
        a, b = (rng.integers(f.qmin, f.qmax + 1, (samples, 24, 6, 7)) for f in (a_format, b_format))
        a_scale, b_scale, y_scale = rng.uniform(0.01, 0.1, 3).astype(np.float32)
        if kind == "ties":
            a_scale, b_scale, y_scale = np.float32(0.25), np.float32(0.5), np.float32(1)
        elif kind == "extremes":
            a, b = (rng.choice([f.qmin, f.qmax], a.shape) for f in (a_format, b_format))
        r = add_requantizer(float(a_scale) / float(y_scale), float(b_scale) / float(y_scale), output, relu=False)
        layer = Layer("add", Op.ADD, ("a", "b"), output, requantizer=r)
        inputs = [
            typed(a_format, a),
            a_scale,
            typed(a_format, a_format.zero_point),
            typed(b_format, b),
            b_scale,
            typed(b_format, b_format.zero_point),
            y_scale,
            typed(output, output.zero_point),
        ]
        expected = run("QLinearAdd", [np.asarray(v) for v in inputs], BYTES[signed], MICROSOFT, fed=(0, 3))
        yield Case(layer, (a_format, b_format), (a, b), expected)


def qlinear_concat(rng: Rng, samples: int, dyadic: bool = False) -> Iterator[Case]:
    """QLinearConcat against one half-even multiplier per operand."""
    for near in (False,) if dyadic else (False, True):
        signed = bool(rng.integers(2))
        formats = tuple(byte_format(rng, signed) for _ in range(3))
        output = byte_format(rng, signed)
        operands = tuple(rng.integers(f.qmin, f.qmax + 1, (samples, 8, 6, 7)) for f in formats)
        y_scale = np.float32(0.25 if dyadic else rng.uniform(0.05, 0.1))
        scales = rng.uniform(0.01, 0.2, 3).astype(np.float32)
        if dyadic:
            scales = np.exp2(rng.integers(-7, 1, 3)).astype(np.float32)
        elif near:
            ratio = (rng.integers(0, 100, 3) + 0.5) / rng.integers(60, 200, 3)
            scales = adversary.nudge(rng, (ratio * y_scale).astype(np.float32))
        pairs = [fixed_point(float(s) / float(y_scale)) for s in scales]
        multiplier, shift = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
        r = Requantizer(multiplier, shift, output.qmin, output.qmax, Rounding.HALF_EVEN)
        layer = Layer("concat", Op.CONCAT, ("a", "b", "c"), output, requantizer=r)
        inputs = [y_scale, typed(output, output.zero_point)]
        for f, x, s in zip(formats, operands, scales, strict=True):
            inputs += [typed(f, x), s, typed(f, f.zero_point)]
        arrays = [np.asarray(v) for v in inputs]
        expected = run("QLinearConcat", arrays, BYTES[signed], MICROSOFT, fed=(2, 5, 8), axis=1)
        yield Case(layer, formats, operands, expected)


def qlinear_concat_dyadic(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearConcat where all ratios of scales are powers of two: many ties."""
    yield from qlinear_concat(rng, samples, dyadic=True)


def global_average_pool(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearGlobalAveragePool: one float32 scale x / (y * n) for the sum."""
    for kind in ("random", "ties", "near ties", "extremes"):
        signed = bool(rng.integers(2))
        source, output = byte_format(rng, signed), byte_format(rng, signed)
        x, x_scale, y_scale = _pooled(rng, kind, source, (samples, 96, 4, int(rng.choice([4, 5, 7]))))
        count = math.prod(x.shape[2:])
        r = float_requantizer(x_scale / (y_scale * np.float32(count)), output)
        layer = Layer("pool", Op.GLOBAL_AVG_POOL, ("input",), output, requantizer=r)
        expected = _pool("QLinearGlobalAveragePool", x, source, output, x_scale, y_scale, channels_last=0)
        yield Case(layer, (source,), (x,), expected)


def average_pool(rng: Rng, samples: int) -> Iterator[Case]:
    """QLinearAveragePool against a float32 scale for the sum of a window."""
    for kind in ("random", "ties", "near ties", "extremes"):
        signed = bool(rng.integers(2))
        source, output = byte_format(rng, signed), byte_format(rng, signed)
        x, x_scale, y_scale = _pooled(rng, kind, source, (samples, 24, 7, 8))
        size = tuple(int(v) for v in rng.integers(1, 5, 2))
        geometry = Geometry(size)  # type: ignore[arg-type]
        r = float_requantizer(x_scale / (y_scale * np.float32(math.prod(size))), output)
        layer = Layer("pool", Op.AVG_POOL, ("input",), output, requantizer=r, geometry=geometry)
        expected = _pool("QLinearAveragePool", x, source, output, x_scale, y_scale, kernel_shape=list(size))
        yield Case(layer, (source,), (x,), expected)


def _pooled(
    rng: Rng, kind: str, source: Format, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], np.float32, np.float32]:
    """Draw codes of a map, and scales of input and output."""
    x = rng.integers(source.qmin, source.qmax + 1, shape)
    x_scale, y_scale = rng.uniform(0.01, 0.1, 2).astype(np.float32)
    if kind == "ties":
        x_scale, y_scale = np.float32(0.5), np.float32(0.5 * 2.0 ** -int(rng.integers(-2, 3)))
    elif kind == "near ties":
        tie = (rng.integers(1, 100) + 0.5) * math.prod(shape[2:]) / rng.integers(100, 2000)
        x_scale = adversary.nudge(rng, np.array([tie], np.float32) * y_scale)[0]
    elif kind == "extremes":
        x = rng.choice([source.qmin, source.qmax], shape)
    return x, x_scale, y_scale


def _pool(
    operator: str,
    x: NDArray[np.int64],
    source: Format,
    output: Format,
    x_scale: np.float32,
    y_scale: np.float32,
    **settings: int | list[int],
) -> NDArray[np.integer]:
    inputs = [
        typed(source, x),
        x_scale,
        typed(source, source.zero_point),
        y_scale,
        typed(output, output.zero_point),
    ]
    return run(operator, [np.asarray(v) for v in inputs], BYTES[output.signed], MICROSOFT, **settings)


def _near_output(rng: Rng, samples: int, bits: NDArray[np.floating] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw 16-bit codes [sample, channel, 6, 7] over the range of an 8-bit output; half are ties or near ties."""
    step = np.exp2(np.asarray(bits, dtype=np.float64))[:, None, None]
    codes = rng.uniform(-150, 150, (samples, 24, 6, 7)) * step
    tie = (rng.integers(-150, 150, codes.shape) + 0.5) * step
    codes = np.where(rng.random(codes.shape) < 0.5, tie, codes)
    return np.clip(np.floor(codes), -(1 << 15), (1 << 15) - 1).astype(np.int64)


def _quantize(codes: NDArray[np.int64], scale: Floats, output: Format, r: Requantizer | Thresholds) -> Case:
    """Run QuantizeLinear; its layer is a depthwise product with one, whose sums are the codes."""
    one = QTensor(np.ones((24, 1, 1, 1), np.int8), Format(2, signed=True))
    layer = Layer(
        "quantize",
        Op.CONV,
        ("input",),
        output,
        weight=one,
        bias=np.zeros(24, np.int64),
        requantizer=r,
        geometry=Geometry(groups=24),
    )
    zero_points = np.full(24, output.zero_point).astype(BYTES[output.signed])
    expected = run("QuantizeLinear", [codes.astype(np.float32), scale, zero_points], BYTES[output.signed], axis=1)
    return Case(layer, (Format(16, signed=True),), (codes,), expected)


def _layer(op: Op, p: Products, output: Format, geometry: Geometry) -> Layer:
    weight = QTensor(p.w.astype(np.int8), Format(8, signed=True, narrow_range=True))
    return Layer("layer", op, ("input",), output, weight=weight, bias=p.bias, geometry=geometry)


ORACLE = Oracle(
    "ort",
    "onnxruntime",
    version,
    (
        Group("ort", "ConvInteger", "accumulator of 32 bits", conv_integer),
        Group(
            "ort", "MatMulInteger, overflow included", "accumulator of 32 bits that wraps", matmul_integer, samples=999
        ),
        Group("ort", "QLinearConv, per channel", "f32_half_even", qlinear_conv),
        Group("ort", "QLinearMatMul, per column", "f32_half_even", qlinear_matmul, samples=128, golden=8),
        Group("ort", "QLinearGlobalAveragePool", "f32_half_even", global_average_pool, samples=128, golden=2),
        Group("ort", "QuantizeLinear, powers of two", "half_even", quantize_ties),
        Group("ort", "QuantizeLinear, any scale", "thresholds", quantize_any),
        Group("ort", "QLinearConcat, powers of two", "half_even", qlinear_concat_dyadic),
        Group(
            "ort",
            "QLinearConcat, any scale",
            "half_even",
            qlinear_concat,
            "the tool's float32 product can round to a tie where the exact product is no tie",
        ),
        Group(
            "ort",
            "QLinearAdd",
            "half_up",
            qlinear_add,
            "the tool adds the zero point before it rounds, in float32; HQ1 adds it after",
        ),
        Group(
            "ort",
            "QLinearAveragePool",
            "f32_half_even",
            average_pool,
            "the tool averages real numbers, code by code; no rule on the integer sum",
        ),
    ),
)
