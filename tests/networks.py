"""Random valid networks for property tests: every op, stride, padding, group count, width, sign and zero point."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from hwsim.formats import LOGITS, Format, Kind, QTensor
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region, Requantizer, Shape
from hwsim.network.shapes import output_shape

Draw = st.DrawFn
INT32_MAX = 2**31 - 1


@st.composite
def formats(draw: Draw) -> Format:
    """Uniform codes of 1 to 8 bits, any zero point."""
    bits, signed = draw(st.integers(1, 8)), draw(st.booleans())
    narrow = signed and bits >= 2 and draw(st.booleans())
    plain = Format(bits, signed, narrow)
    return Format(bits, signed, narrow, draw(st.sampled_from((0, plain.qmin, plain.qmax, plain.qmax // 2))))


@st.composite
def weight_formats(draw: Draw) -> Format:
    """Uniform codes of 1 to 8 bits with zero point 0, or binary."""
    if draw(st.integers(0, 3)) == 0:
        return Format(1, kind=Kind.BINARY)
    bits, signed = draw(st.integers(1, 8)), draw(st.booleans())
    return Format(bits, signed, signed and bits >= 2 and draw(st.booleans()))


@st.composite
def geometries(draw: Draw, shape: Shape, groups: int = 1) -> Geometry:
    """A window that fits a map of `shape`, padding included."""
    _, height, width = shape
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    kernel_h = draw(st.integers(1, min(4, height + 2 * padding[0])))
    kernel_w = draw(st.integers(1, min(4, width + 2 * padding[1])))
    return Geometry((kernel_h, kernel_w), (draw(st.integers(1, 3)), draw(st.integers(1, 3))), padding, groups)


def codes_of(draw: Draw, format: Format, shape: Shape) -> np.ndarray:
    """Codes of `format`: random, or now and then the extremes alone (largest sums, exact ties)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.integers(0, 4)) == 0:
        return rng.choice(np.array([format.qmin, format.qmax]), shape)
    return rng.integers(format.qmin, format.qmax + 1, shape)


@st.composite
def requantizers(draw: Draw, output: Format, count: int, largest: int, common_shift: bool = False) -> Requantizer:
    """Multipliers and shifts that bring sums up to `largest` near the output's range; also exact ties and shift 0."""
    shifts = 1 if common_shift else count
    if draw(st.integers(0, 5)) == 0:
        multiplier, shift = draw(st.sampled_from((0, 1, 3))), draw(st.integers(0, 3))
        pair = np.full(count, multiplier), np.full(shifts, shift)
    else:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        dyadic = draw(st.booleans())
        mantissas = np.full(count, 2**30) if dyadic else rng.integers(2**30, 2**31, count)
        centre = 31 + math.ceil(math.log2(max(largest, 1))) - output.bits
        pair = mantissas, np.clip(centre + rng.integers(-4, 2, shifts), 0, 62)
    relu = draw(st.booleans())
    low = output.zero_point if relu else output.qmin
    high = draw(st.integers(low, output.qmax))
    return Requantizer(pair[0].astype(np.int64), pair[1].astype(np.int64), low, high)


@st.composite
def mac_layers(draw: Draw, name: str, op: Op, source: str, shape: Shape, x: Format, last: bool) -> Layer:
    """A convolution (perhaps grouped, perhaps with regions) or a linear layer."""
    w_format = draw(weight_formats())
    if op is Op.CONV:
        groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
        geometry = draw(geometries(shape, groups))
        filters = groups * draw(st.integers(1, 3))
        w_shape: Shape = (filters, shape[0] // groups, *geometry.kernel)
    else:
        geometry, filters = Geometry(), draw(st.integers(1, 5))
        w_shape = (filters, shape[0])
    weight = codes_of(draw, w_format, w_shape)
    largest = x.max_magnitude * w_format.max_magnitude * math.prod(w_shape[1:])
    limit = draw(st.sampled_from((0, 1000, INT32_MAX)))
    bias = np.random.default_rng(draw(st.integers(0, 2**32))).integers(-limit, limit + 1, filters)
    if limit == INT32_MAX:
        bias[0] = draw(st.sampled_from((-INT32_MAX, INT32_MAX)))  # sums wrap around
    output = LOGITS if last else draw(formats())
    count = draw(st.sampled_from((1, filters)))
    requantizer = None if last else draw(requantizers(output, count, largest + limit))
    region = None
    low_limit = min(x.bits - 1, w_format.bits)
    if op is Op.CONV and w_format.kind is Kind.UNIFORM and not x.signed and not x.zero_point and low_limit >= 1:
        region = draw(st.none() | regions(w_shape, low_limit))
    tensor = QTensor(weight.astype(w_format.dtype), w_format)
    return Layer(name, op, (source,), output, 0.5, tensor, bias, requantizer, geometry, region)


@st.composite
def regions(draw: Draw, w_shape: Shape, low_limit: int) -> Region:
    """Region precision with random coarse weights."""
    low_bits = draw(st.integers(1, low_limit))
    low = codes_of(draw, Format(low_bits, signed=True), w_shape).astype(np.int8)
    threshold = draw(st.sampled_from((0, 8, 100, 900, 1800, INT32_MAX)))
    return Region(draw(st.integers(1, 4)), draw(st.integers(1, 5)), threshold, low, low_bits)


@st.composite
def networks(draw: Draw) -> Network:
    """One to five layers of any kind, the last of which emits raw logits."""
    x = draw(formats() | st.just(Format(1, kind=Kind.BINARY)))
    shape: Shape = (draw(st.integers(1, 5)), draw(st.integers(2, 9)), draw(st.integers(2, 9)))
    network_input, input_shape, name = x, shape, INPUT
    layers: list[Layer] = []
    for number in range(draw(st.integers(0, 4))):
        ops = [Op.CONV, Op.CONV, Op.AVG_POOL, Op.GLOBAL_AVG_POOL, Op.ADD]
        ops += [Op.MAX_POOL] if x.kind is Kind.UNIFORM else []
        op, source, name = draw(st.sampled_from(ops)), name, f"layer{number}"
        output = draw(formats())
        if op is Op.CONV:
            layer = draw(mac_layers(name, op, source, shape, x, last=False))
        elif op is Op.MAX_POOL:
            layer = Layer(name, op, (source,), x, geometry=draw(geometries(shape)))
        elif op is Op.ADD:
            peers = [la.name for la in layers if _shape_after(la.name, layers, input_shape, network_input) == shape]
            operands = (source, draw(st.sampled_from([source, *peers])))
            r = draw(requantizers(output, 2, 2 * x.max_magnitude, common_shift=True))
            layer = Layer(name, op, operands, output, requantizer=r)
        else:
            geometry = draw(geometries(shape)) if op is Op.AVG_POOL else Geometry()
            area = math.prod(geometry.kernel) if op is Op.AVG_POOL else math.prod(shape[1:])
            r = draw(requantizers(output, 1, area * x.max_magnitude))
            layer = Layer(name, op, (source,), output, requantizer=r, geometry=geometry)
        layers.append(layer)
        shape, x = _shape_after(name, layers, input_shape, network_input), layer.output
    if x.kind is Kind.UNIFORM and draw(st.booleans()):
        layers.append(Layer("flatten", Op.FLATTEN, (name,), x))
        layers.append(draw(mac_layers("logits", Op.LINEAR, "flatten", (math.prod(shape),), x, last=True)))
    else:
        layers.append(draw(mac_layers("logits", Op.CONV, name, shape, x, last=True)))
    return Network(network_input, input_shape, 1 / 255, tuple(layers))


def _shape_after(name: str, layers: list[Layer], input_shape: Shape, x: Format) -> Shape:
    shapes = {INPUT: input_shape}
    for layer in layers:
        shapes[layer.name] = output_shape(layer, [shapes[source] for source in layer.inputs])
    return shapes[name]


@st.composite
def networks_with_inputs(draw: Draw) -> tuple[Network, np.ndarray]:
    """A network and codes for up to five samples."""
    network = draw(networks())
    return network, codes_of(draw, network.input, (draw(st.integers(1, 5)), *network.input_shape))
