"""Random valid networks for property tests: every op, format, overflow policy and rounding of HQ1.

Rare cases are drawn often: extreme codes, exact ties, sums that overflow, padding on one side only, operands that are
read twice. A network grows layer by layer from its input; most layers read the last value, some an earlier one.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from hwsim.formats import LOGITS, TERNARY, Format, Kind, QTensor
from hwsim.network.accumulator_bounds import layer_bound
from hwsim.network.check import MAX_NORM, PRODUCT_BITS
from hwsim.network.graph import Network
from hwsim.network.layer import (
    INPUT,
    INT32,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Region,
    Requantizer,
    Rounding,
    Shape,
    Softmax,
    Thresholds,
)
from hwsim.network.shapes import output_shape

Draw = st.DrawFn
INT32_MAX = 2**31 - 1
MAX_SIZE = 2000
"""Largest value that matmul and concat read, so that the numpy definition is fast enough."""

WIDTHS = st.sampled_from([*range(1, 9)] * 2 + [*range(9, 17)])
ONE_STEP = tuple(rule for rule in Rounding if rule.one_step)
COMMON = st.shared(st.integers(0, 2).map(lambda k: k == 2), key="common")
"""One choice per network: every third network has only the common policies, for which the kernels have fast paths."""


@dataclass(frozen=True)
class Value:
    """Value that a layer can read: name, shape of one sample, and format of the codes."""

    name: str
    shape: Shape
    format: Format

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def one_in(count: int) -> st.SearchStrategy[bool]:
    return st.integers(1, count).map(lambda k: k == count)


def generator(draw: Draw) -> np.random.Generator:
    return np.random.default_rng(draw(st.integers(0, 2**32)))


# Formats and codes.


@st.composite
def widths(draw: Draw) -> int:
    return draw(st.integers(1, 8) if draw(COMMON) else WIDTHS)


@st.composite
def uniform_formats(draw: Draw, zero_points: bool = True) -> Format:
    """Uniform codes of 1 to 16 bits: signed, unsigned or of narrow range, with or without a zero point."""
    bits, signed = draw(widths()), draw(st.booleans())
    plain = Format(bits, signed, narrow_range=signed and bits >= 2 and draw(st.booleans()))
    points = (0, plain.qmin, plain.qmax, plain.qmax // 2) if zero_points else (0,)
    return dataclasses.replace(plain, zero_point=draw(st.sampled_from(points)))


@st.composite
def codebooks(draw: Draw) -> Format:
    """A table of 2 to 16 integers of up to 4, 8 or 16 bits."""
    bits, limit = draw(st.integers(1, 4)), 1 << draw(st.sampled_from((3, 7, 15)))
    return Format(bits, kind=Kind.CODEBOOK, table=tuple(generator(draw).integers(-limit, limit, 1 << bits).tolist()))


MIDRISE_FORMATS = WIDTHS.map(lambda bits: Format(bits, kind=Kind.MIDRISE))
BINARY = Format(1, kind=Kind.BINARY)


@st.composite
def formats(draw: Draw) -> Format:
    """Format of an activation: mostly uniform, often unsigned without a zero point, which regions need."""
    if not draw(COMMON) and draw(one_in(4)):
        return draw(st.just(BINARY) | MIDRISE_FORMATS)
    return draw(uniform_formats() | widths().map(Format))


@st.composite
def weight_formats(draw: Draw, x: Format) -> Format:
    """Format of weights for inputs of format `x`: uniform without a zero point, and every other kind."""
    if x == BINARY and draw(st.booleans()):
        return BINARY
    if not draw(COMMON) and draw(st.booleans()):
        return draw(st.sampled_from((BINARY, TERNARY)) | MIDRISE_FORMATS | codebooks())
    return draw(uniform_formats(zero_points=False))


def codes_of(draw: Draw, format: Format, shape: Shape) -> np.ndarray:
    """Draw codes of `format`: random, or extremes only (largest sums, exact ties)."""
    rng = generator(draw)
    if draw(one_in(5)):
        return rng.choice(np.array([format.qmin, format.qmax]), shape)
    return rng.integers(format.qmin, format.qmax + 1, shape)


@st.composite
def weights(draw: Draw, shape: Shape, x: Format) -> QTensor:
    format = draw(weight_formats(x))
    return QTensor(codes_of(draw, format, shape).astype(format.dtype), format)


@st.composite
def biases(draw: Draw, count: int) -> np.ndarray:
    """Biases: zero, small, or so large that 32 bits wrap around."""
    limit = draw(st.sampled_from((0, 1000, INT32_MAX)))
    bias = generator(draw).integers(-limit, limit + 1, count)
    if limit == INT32_MAX:
        bias[0] = draw(st.sampled_from((-INT32_MAX, INT32_MAX)))
    return bias


# Windows.


@st.composite
def kernels(draw: Draw, size: int) -> tuple[int, int]:
    """Kernel size and dilation that fit `size` rows or columns."""
    kernel = draw(st.integers(1, min(4, size)))
    return kernel, draw(st.integers(1, max(1, min(3, (size - 1) // max(kernel - 1, 1)))))


@st.composite
def geometries(draw: Draw, shape: Shape, groups: int = 1) -> Geometry:
    """A window that fits a map of `shape`, padding included."""
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    begin, end = draw(st.just((0, 0)) | sides), draw(st.none() | sides)
    bottom, right = end or begin
    rows, row_gap = draw(kernels(shape[1] + begin[0] + bottom))
    columns, column_gap = draw(kernels(shape[2] + begin[1] + right))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    return Geometry((rows, columns), stride, begin, groups, (row_gap, column_gap), end)


# From sums to codes.


@st.composite
def accumulators(draw: Draw, layer: Layer, largest: int, widest: int) -> Accumulator:
    """The default, or any width with any policy; `check` only where sums of up to `largest` fit."""
    if draw(COMMON) or draw(st.booleans()):
        return INT32
    needed = largest.bit_length() + 1
    policies = [Overflow.WRAP, Overflow.SATURATE_END]
    policies += [Overflow.SATURATE_STEP] if layer.has_macs and layer.region is None else []
    policies += [Overflow.CHECK] if needed <= widest else []
    policy = draw(st.sampled_from(policies))
    bits = draw(st.sampled_from((needed - 4, needed - 1, needed, 32, 33)) | st.integers(8, 48))
    min_bits = needed if policy is Overflow.CHECK else 8
    return Accumulator(min(max(bits, min_bits, 8), widest), policy)


@st.composite
def clips(draw: Draw, output: Format) -> tuple[int, int]:
    """Clip bounds: the whole range, or a part; a ReLU where the lower bound is the zero point."""
    low = draw(st.sampled_from((output.qmin, output.zero_point)))
    return low, draw(st.just(output.qmax) | st.integers(low, output.qmax))


@st.composite
def fixed_points(draw: Draw, output: Format, counts: tuple[int, int], largest: int, bits: int) -> tuple:
    """(multipliers, shifts) that scale sums of up to `largest` to the output's range; also exact ties and shift 0."""
    if draw(one_in(6)):
        return np.full(counts[0], draw(st.sampled_from((0, 1, 3)))), np.full(counts[1], draw(st.integers(0, 3)))
    rng = generator(draw)
    max_bits = min(31, PRODUCT_BITS - bits)
    mantissa_bits = draw(st.just(max_bits) | st.integers(1, max_bits))
    lowest = 1 << (mantissa_bits - 1)
    mantissas = np.full(counts[0], lowest) if draw(st.booleans()) else rng.integers(lowest, 2 * lowest, counts[0])
    center = mantissa_bits + math.ceil(math.log2(max(largest, 1))) - output.bits
    return mantissas, np.clip(center + rng.integers(-4, 2, counts[1]), 0, min(62, bits + mantissa_bits))


@st.composite
def float_scales(draw: Draw, output: Format, count: int, largest: int) -> np.ndarray:
    """Bits of float32 scales that scale sums of up to `largest` to the output's range; powers of two give ties."""
    scale = 2.0**output.bits / max(largest, 1) * generator(draw).uniform(0.3, 4, count)
    if draw(st.booleans()):
        scale = 2.0 ** np.round(np.log2(scale))
    return (scale * draw(st.sampled_from((0, 1, 1, 1)))).astype(np.float32).view(np.int32).astype(np.int64)


@st.composite
def requantizers(
    draw: Draw, output: Format, counts: tuple[int, int], largest: int, bits: int = 32, rules=tuple(Rounding)
) -> Requantizer:
    """A requantizer with `counts` = (number of multipliers, number of shifts)."""
    allowed = [rule for rule in rules if bits <= 32 or rule is not Rounding.GEMMLOWP_DOUBLE]
    rule = Rounding.HALF_UP if draw(COMMON) else draw(st.sampled_from(allowed))
    if rule is Rounding.F32_HALF_EVEN:
        multiplier, shift = draw(float_scales(output, counts[0], largest)), np.zeros(counts[1])
    else:
        multiplier, shift = draw(fixed_points(output, counts, largest, bits))
    return Requantizer(multiplier.astype(np.int64), shift.astype(np.int64), *draw(clips(output)), rule)


@st.composite
def thresholds(draw: Draw, output: Format, channels: int, largest: int) -> Thresholds:
    """Levels that do not decrease, some equal and some that no sum reaches."""
    max_count = min(255, output.qmax - output.qmin)
    count = draw(st.just(max_count) | st.integers(1, min(max_count, 15)))
    rows = draw(st.sampled_from((1, channels)))
    levels = generator(draw).integers(-largest - 1, largest + 2, (rows, count))
    levels[:, 0] = levels[:, -1]
    return Thresholds(np.sort(levels, axis=1), draw(st.integers(output.qmin, output.qmax - count)))


@st.composite
def finished(draw: Draw, layer: Layer, inputs: list[Value], last: bool = False) -> Layer:
    """`layer` with an accumulator and, unless it is the last layer, an output format and a requantizer."""
    bound = layer_bound(layer, {v.name: v.format for v in inputs}, {v.name: v.shape for v in inputs})
    accumulator = draw(accumulators(layer, int(bound.max()), 32 if last else 48))
    layer = dataclasses.replace(layer, accumulator=accumulator)
    if last:
        return layer
    shape, output = output_shape(layer, [v.shape for v in inputs]), draw(formats())
    channels = shape[0] if layer.channel_axis == 1 else shape[-1]
    largest = min(int(bound.max()), accumulator.high)
    if not draw(COMMON) and draw(one_in(4)):
        requantizer = draw(thresholds(output, channels, largest))
    else:
        count = draw(st.sampled_from((1, channels)))
        requantizer = draw(requantizers(output, (count, count), largest, accumulator.bits))
    return dataclasses.replace(layer, output=output, requantizer=requantizer)


# Layers: each composite draws the layers after `x`; `values` are all values that they can read.


@st.composite
def conv_layers(
    draw: Draw, name: str, x: Value, values: list[Value], last: bool = False, same: bool = False
) -> list[Layer]:
    """A convolution: plain, grouped or depthwise, with or without regions; with `same` it keeps the shape of `x`."""
    channels = x.shape[0]
    groups = draw(st.sampled_from([1, 1, channels, *(g for g in (2, 3, 4) if channels % g == 0)]))
    if same:
        border = draw(st.integers(0, 1))
        geometry, filters = Geometry((2 * border + 1,) * 2, padding=(border, border), groups=groups), channels
    else:
        geometry = draw(geometries(x.shape, groups))
        filters = groups * draw(st.integers(1, 3) | st.sampled_from((16, 17, 33) if x.size < 100 else (1,)))
    shape = filters, channels // groups, *geometry.kernel
    weight, bias = draw(weights(shape, x.format)), draw(biases(filters))
    region = draw(st.none() | regions(shape, x.format, weight.format))
    draft = Layer(name, Op.CONV, (x.name,), LOGITS, 0.5, weight, bias, None, geometry, region)
    return [draw(finished(draft, [x], last))]


@st.composite
def regions(draw: Draw, w_shape: Shape, x: Format, w: Format) -> Region | None:
    """Region precision with random low weights, where the formats allow it, over all channels or per channel."""
    widest = min(x.bits - 1, w.bits)
    if {x.kind, w.kind} != {Kind.UNIFORM} or x.signed or x.zero_point or widest < 1:
        return None
    low_bits = draw(st.integers(1, widest))
    low = codes_of(draw, Format(low_bits, signed=True), w_shape).astype(np.int16)
    threshold = draw(st.sampled_from((0, 8, 100, 900, 1800, INT32_MAX)) | st.integers(0, 16 * x.qmax))
    size = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return Region(*size, threshold, low, low_bits, draw(st.sampled_from(ONE_STEP)), draw(st.booleans()))


@st.composite
def linear_layers(draw: Draw, name: str, x: Value, values: list[Value], last: bool = False) -> list[Layer]:
    filters = draw(st.integers(1, 5) | st.sampled_from((16, 17, 33)))
    weight, bias = draw(weights((filters, x.shape[-1]), x.format)), draw(biases(filters))
    return [draw(finished(Layer(name, Op.LINEAR, (x.name,), LOGITS, 0.5, weight, bias), [x], last))]


@st.composite
def norm_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    weight, bias = draw(weights((x.shape[-1],), x.format)), draw(biases(x.shape[-1]))
    return [draw(finished(Layer(name, Op.LAYER_NORM, (x.name,), LOGITS, 0.5, weight, bias), [x]))]


@st.composite
def matmul_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    """A product with another value of matching shape, else with the transpose of `x`."""
    partners = [v for v in values if v.shape[:-2] == x.shape[:-2] and v.shape[-2:-1] == x.shape[-1:]]
    before = []
    if partners and draw(st.booleans()):
        other = draw(st.sampled_from(partners))
    else:
        axes = (*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2)
        before = [Layer(f"{name}_turned", Op.TRANSPOSE, (x.name,), x.format, axes=axes)]
        other = Value(f"{name}_turned", tuple(x.shape[axis] for axis in axes), x.format)
    return [*before, draw(finished(Layer(name, Op.MATMUL, (x.name, other.name), LOGITS), [x, other]))]


@st.composite
def max_pool_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    return [Layer(name, Op.MAX_POOL, (x.name,), x.format, geometry=draw(geometries(x.shape)))]


@st.composite
def avg_pool_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    draft = Layer(name, Op.AVG_POOL, (x.name,), LOGITS, geometry=draw(geometries(x.shape)))
    return [draw(finished(draft, [x]))]


@st.composite
def global_pool_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    return [draw(finished(Layer(name, Op.GLOBAL_AVG_POOL, (x.name,), LOGITS), [x]))]


@st.composite
def add_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    """A residual add in either order: with a convolution of `x`, with any value of its shape, or with itself."""
    before, other = [], draw(st.sampled_from([v for v in values if v.shape == x.shape]))
    if accepts(Op.CONV, x) and draw(st.booleans()):
        before = draw(conv_layers(f"{name}_branch", x, values, same=True))
        other = Value(before[0].name, x.shape, before[0].output)
    inputs = draw(st.permutations([x, other]))
    output, largest = draw(formats()), x.format.max_magnitude + other.format.max_magnitude
    r = draw(requantizers(output, (2, 1), largest, rules=ONE_STEP))
    return [*before, Layer(name, Op.ADD, tuple(v.name for v in inputs), output, requantizer=r)]


@st.composite
def concat_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    peers = [v for v in values if v.shape[1:] == x.shape[1:] and v.size <= MAX_SIZE]
    others = draw(st.lists(st.sampled_from(peers), min_size=1, max_size=2))
    inputs, output = draw(st.permutations([x, *others])), draw(formats())
    count, largest = len(inputs), max(v.format.max_magnitude for v in inputs)
    r = draw(requantizers(output, (count, count), largest, rules=ONE_STEP))
    return [Layer(name, Op.CONCAT, tuple(v.name for v in inputs), output, requantizer=r)]


@st.composite
def softmax_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    """Weights that decrease with the distance from the largest code, to 0 or to a shorter table's end."""
    top = draw(st.sampled_from((1, 255, INT32_MAX)))
    table = np.floor(top * np.exp2(-np.arange(draw(st.integers(1, 40))) / draw(st.integers(1, 8)))).astype(np.int64)
    rule = Softmax(table, draw(st.sampled_from((1, 255, 256, 65536))))
    return [Layer(name, Op.SOFTMAX, (x.name,), draw(formats()), softmax=rule)]


def flatten_layers(name: str, x: Value, values: list[Value]) -> st.SearchStrategy[list[Layer]]:
    return st.just([Layer(name, Op.FLATTEN, (x.name,), x.format)])


@st.composite
def reshape_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    """One to three axes with the same number of codes."""
    first = draw(st.sampled_from(divisors(x.size)))
    second = draw(st.sampled_from(divisors(x.size // first)))
    shape = draw(st.sampled_from(((x.size,), (first, x.size // first), (first, second, x.size // first // second))))
    return [Layer(name, Op.RESHAPE, (x.name,), x.format, shape=shape)]


def divisors(size: int) -> list[int]:
    return [d for d in range(1, size + 1) if size % d == 0]


@st.composite
def transpose_layers(draw: Draw, name: str, x: Value, values: list[Value]) -> list[Layer]:
    return [Layer(name, Op.TRANSPOSE, (x.name,), x.format, axes=tuple(draw(st.permutations(range(len(x.shape))))))]


LAYERS = {
    Op.CONV: conv_layers,
    Op.LINEAR: linear_layers,
    Op.MATMUL: matmul_layers,
    Op.MAX_POOL: max_pool_layers,
    Op.AVG_POOL: avg_pool_layers,
    Op.GLOBAL_AVG_POOL: global_pool_layers,
    Op.ADD: add_layers,
    Op.CONCAT: concat_layers,
    Op.SOFTMAX: softmax_layers,
    Op.LAYER_NORM: norm_layers,
    Op.FLATTEN: flatten_layers,
    Op.RESHAPE: reshape_layers,
    Op.TRANSPOSE: transpose_layers,
}


def accepts(op: Op, x: Value) -> bool:
    """Return True if a layer of this op can read `x` and has a small output."""
    match op:
        case Op.CONV | Op.MAX_POOL | Op.AVG_POOL | Op.GLOBAL_AVG_POOL:
            return len(x.shape) == 3
        case Op.MATMUL:
            return len(x.shape) >= 2 and math.prod(x.shape[:-1]) * x.shape[-2] <= MAX_SIZE
        case Op.CONCAT:
            return x.size <= MAX_SIZE
        case Op.SOFTMAX:
            return x.format.kind is Kind.UNIFORM
        case Op.LAYER_NORM:
            return x.shape[-1] * x.format.max_magnitude <= MAX_NORM
    return True


# Networks.

MAP_SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9))
FEATURE_SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 9)) | st.tuples(st.integers(1, 20))


@st.composite
def networks(draw: Draw) -> Network:
    """A network of any layers; the last layer has raw logits as output."""
    shape = draw(FEATURE_SHAPES if draw(one_in(4)) else MAP_SHAPES)
    first = Value(INPUT, shape, draw(formats()))
    values, layers = [first], []
    for number in range(draw(st.integers(0, 5))):
        x = draw(st.sampled_from([values[-1]] * 3 + values))
        ops = [op for op in LAYERS if accepts(op, x)]
        ops += [Op.CONV, Op.ADD] * (4 if accepts(Op.CONV, x) else 0)
        grow(draw(LAYERS[draw(st.sampled_from(ops))](f"layer{number}", x, values)), layers, values)
    end = conv_layers if accepts(Op.CONV, values[-1]) and draw(st.booleans()) else linear_layers
    layers += draw(end("logits", values[-1], values, last=True))
    return Network(first.format, first.shape, 1 / 255, tuple(layers))


def grow(added: list[Layer], layers: list[Layer], values: list[Value]) -> None:
    """Append layers and their output values."""
    for layer in added:
        shapes = {v.name: v.shape for v in values}
        layers.append(layer)
        values.append(Value(layer.name, output_shape(layer, [shapes[n] for n in layer.inputs]), layer.output))


@st.composite
def networks_with_inputs(draw: Draw) -> tuple[Network, np.ndarray]:
    """A network and codes for up to nine samples."""
    network = draw(networks())
    samples = draw(st.integers(1, 5) | st.integers(6, 9))
    return network, codes_of(draw, network.input, (samples, *network.input_shape))
