"""Oracle: Brevitas at power-of-two scales, where its fake quantization is exact in float32. Profile qonnx."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.formats import Format, QTensor
from hwsim.network.fixed_point import fixed_point
from hwsim.network.layer import Geometry, Layer, Op, Requantizer, Rounding
from tests.oracles import adversary
from tests.oracles.adversary import Products, Rng, Shapes
from tests.oracles.case import Case
from tests.oracles.group import Group, Oracle

KINDS = ("random", "ties", "ties", "extremes", "upscale")
EXACT = 1 << 24
"""Float32 represents every integer below this."""


def version() -> str:
    """Return the versions of Brevitas and torch."""
    from importlib.metadata import version

    return f"brevitas {version('brevitas')}, torch {version('torch')}"


def conv(rng: Rng, samples: int) -> Iterator[Case]:
    """QuantConv2d between two activation quantizers: weights of 2 to 8 bits, activations of 2 to 8 and 12."""
    from brevitas.nn import QuantConv2d

    for kind in KINDS:
        source, weights, output = _formats(rng)
        kernel, stride, dilation = (tuple(int(v) for v in rng.integers(1, top, 2)) for top in (4, 3, 3))
        groups = int(rng.choice([1, 2, 3, 6]))
        geometry = Geometry(kernel, stride, (1, 2), groups, dilation)  # type: ignore[arg-type]
        p = _draw(kind, rng, (samples, 6, 8, 9), (24, 6 // groups, *kernel), source, weights, output)
        layer = QuantConv2d(
            6, 24, kernel, stride, (1, 2), dilation, groups, **_settings(weights, p.w_scale[0]), bias=True
        )
        yield _case(Op.CONV, layer, geometry, p, source, weights, output)


def linear(rng: Rng, samples: int) -> Iterator[Case]:
    """QuantLinear between two activation quantizers."""
    from brevitas.nn import QuantLinear

    for kind in KINDS:
        source, weights, output = _formats(rng)
        p = _draw(kind, rng, (samples, 20), (48, 20), source, weights, output)
        layer = QuantLinear(20, 48, **_settings(weights, p.w_scale[0]), bias=True)
        yield _case(Op.LINEAR, layer, Geometry(), p, source, weights, output)


def _formats(rng: Rng) -> tuple[Format, Format, Format]:
    """Draw formats of input, weights and output, without zero points."""
    source, output = (Format(int(rng.choice([2, 3, 4, 5, 6, 7, 8, 12])), bool(rng.integers(2))) for _ in range(2))
    widest = 6 if source.bits == 12 else 8  # all sums are exact in float32
    return source, Format(int(rng.integers(2, widest + 1)), signed=True, narrow_range=True), output


def _draw(
    kind: str, rng: Rng, x: tuple[int, ...], w: tuple[int, ...], source: Format, weights: Format, output: Format
) -> Products:
    """Draw operands and round all scales to powers of two."""
    p = adversary.draw(kind, rng, Shapes(x, w, source, output, weights.qmax, per_channel=False, sum_max=EXACT - 1))
    scales = (np.exp2(np.rint(np.log2(s))).astype(np.float32) for s in (p.x_scale, p.w_scale, p.y_scale))
    return Products(p.x, p.w, p.bias, *scales)


def _settings(weights: Format, scale: np.float32) -> dict[str, Any]:
    """Return the weight and bias quantizers of a layer: a constant scale, the bias in units of the accumulator."""
    from brevitas.inject.enum import ScalingImplType
    from brevitas.quant import Int8WeightPerTensorFixedPoint, Int32Bias

    return {
        "weight_quant": Int8WeightPerTensorFixedPoint,
        "weight_bit_width": weights.bits,
        "weight_scaling_impl_type": ScalingImplType.CONST,
        "weight_scaling_init": float(scale) * 2.0 ** (weights.bits - 1),
        "bias_quant": Int32Bias,
        "return_quant_tensor": True,
    }


def _activation(format: Format, scale: np.float32) -> Any:
    """Return an activation quantizer of constant scale."""
    from brevitas.inject.enum import ScalingImplType
    from brevitas.nn import QuantIdentity
    from brevitas.quant import Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint

    return QuantIdentity(
        act_quant=Int8ActPerTensorFixedPoint if format.signed else Uint8ActPerTensorFixedPoint,
        bit_width=format.bits,
        scaling_impl_type=ScalingImplType.CONST,
        scaling_init=float(scale) * 2.0 ** (format.bits - int(format.signed)),
        return_quant_tensor=True,
    ).eval()


def _case(
    op: Op, module: Any, geometry: Geometry, p: Products, source: Format, weights: Format, output: Format
) -> Case:
    """Run Brevitas and return its output with the corresponding integer layer."""
    import torch

    x_scale, y_scale = float(p.x_scale), float(p.y_scale)
    sum_scale = x_scale * float(p.w_scale[0])
    bound = np.abs(p.w).reshape(len(p.w), -1).sum(axis=1).max() * source.max_magnitude + np.abs(p.bias).max()
    assert bound < EXACT, "float32 would round the sums"
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(p.w * float(p.w_scale[0])))
        module.bias.copy_(torch.from_numpy(p.bias * sum_scale))
        module.eval()
        before, after = _activation(source, p.x_scale), _activation(output, p.y_scale)
        y = after(module(before(torch.from_numpy(p.x * x_scale).float())))
        assert float(y.scale) == y_scale
        assert np.array_equal(module.quant_weight().int().numpy(), p.w)
    expected = _integers(y.value.numpy() / p.y_scale)
    pairs = fixed_point(sum_scale / y_scale)
    multiplier, shift = (np.array([v], dtype=np.int64) for v in pairs)
    requantizer = Requantizer(multiplier, shift, output.qmin, output.qmax, Rounding.HALF_EVEN)
    weight = QTensor(p.w.astype(np.int8), weights)
    layer = Layer("layer", op, ("input",), output, weight=weight, bias=p.bias, requantizer=requantizer)
    return Case(replace(layer, geometry=geometry), (source,), (p.x,), expected)


def _integers(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Convert real numbers that are integers to int64."""
    codes = values.astype(np.int64)
    assert (codes == values).all() and math.isfinite(float(values.sum()))
    return codes


ORACLE = Oracle(
    "brevitas_pow2",
    "brevitas",
    version,
    (
        Group("qonnx", "QuantConv2d, scales 2^-k", "half_even", conv, samples=64, golden=2),
        Group("qonnx", "QuantLinear, scales 2^-k", "half_even", linear, samples=1024, golden=16),
    ),
)
