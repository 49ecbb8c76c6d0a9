"""The definition of what the integers must be: slow, plain numpy int64, meant to be checked by eye.

Everything faster must equal these functions bit for bit. The first part computes a network layer by
layer; the second walks operands through the registers of a PE array, one cycle at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.network.graph import Network
from hwsim.network.layer import FRACTION_BITS, INPUT, Geometry, Layer, Op, Region

Ints = NDArray[np.int64]


def run(network: Network, codes: NDArray[np.integer]) -> dict[str, Ints]:
    """Codes after every layer, int64 by layer name, the input included; the last layer's are raw accumulators.

    `codes` is [sample, *input_shape]; the entry of a layer is [sample, *shape of the layer].
    """
    done: dict[str, Ints] = {INPUT: codes.astype(np.int64)}
    for layer in network.layers:
        operands = [done[name] for name in layer.inputs]
        formats = [network.formats[name] for name in layer.inputs]
        done[layer.name] = compute(layer, operands, formats)
    return done


def compute(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """One layer: its output codes, int64, from the codes of its inputs and their formats."""
    x, x_format = operands[0], formats[0]
    match layer.op:
        case Op.FLATTEN:
            return x.reshape(len(x), math.prod(x.shape[1:]))
        case Op.MAX_POOL:
            largest: Ints = windows(x, layer.geometry, fill=x_format.qmin).max(axis=(-2, -1))
            return largest
        case Op.ADD:
            return add(layer, operands, formats)
    accumulator = accumulate(layer, x, x_format)
    return accumulator if layer.requantizer is None else requantize(layer, accumulator)


def accumulate(layer: Layer, x_codes: Ints, x_format: Format) -> Ints:
    """What a layer sums up before requantization, int64 [sample, channel, ...] in 32-bit two's complement.

    Convolution and linear: products of decoded codes plus the bias. Average pools: values over the
    window (the division is part of the requantizer's multiplier). Padding has the value zero, that
    is, the code of the zero point.
    """
    x = x_format.decode(x_codes)
    if layer.op is Op.GLOBAL_AVG_POOL:
        return wrap32(x.sum(axis=(2, 3), keepdims=True))
    if layer.op is Op.AVG_POOL:
        return wrap32(windows(x, layer.geometry, fill=0).sum(axis=(-2, -1)))
    assert layer.weight is not None and layer.bias is not None
    w = layer.weight.values()
    if layer.op is Op.LINEAR:
        return wrap32(x @ w.T + layer.bias)
    if layer.region is None:
        products = convolve(x, w, layer.geometry)
    else:
        region, w_bits = layer.region, layer.weight.format.bits
        sensitive = spread(sensitive_regions(region, x_codes), region, x.shape)
        drop = x_format.bits - region.low_bits
        coarse = np.minimum(round_shift(x, drop), (1 << region.low_bits) - 1)
        fine_products = convolve(np.where(sensitive, x, 0), w, layer.geometry)
        coarse_products = convolve(np.where(sensitive, 0, coarse), region.low_weight.astype(np.int64), layer.geometry)
        products = fine_products + (coarse_products << (drop + w_bits - region.low_bits))
    return wrap32(products + layer.bias[:, None, None])


def convolve(x: Ints, w: Ints, geometry: Geometry) -> Ints:
    """Sums of products of values [sample, channel, row, column] with weights [filter, channel of group, row, column].

    >>> convolve(np.ones((1, 1, 3, 3), np.int64), np.ones((1, 1, 2, 2), np.int64), Geometry((2, 2))).tolist()
    [[[[4, 4], [4, 4]]]]
    """
    patches = windows(x, geometry, fill=0)
    x_groups = np.split(patches, geometry.groups, axis=1)
    w_groups = np.split(w, geometry.groups, axis=0)
    sums = [np.einsum("nchwyx,fcyx->nfhw", px, pw) for px, pw in zip(x_groups, w_groups, strict=True)]
    return np.concatenate(sums, axis=1)


def windows(x: Ints, geometry: Geometry, fill: int) -> Ints:
    """The windows of a kernel over a padded map: [sample, channel, out row, out column, kernel row, kernel column]."""
    (ph, pw), (sh, sw) = geometry.padding, geometry.stride
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    return sliding_window_view(padded, geometry.kernel, axis=(2, 3))[:, :, ::sh, ::sw]


def sensitive_regions(region: Region, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which regions of each sample's input map are sensitive: bool [sample, region row, region column].

    >>> region = Region(1, 2, threshold=16, low_weight=np.zeros((1, 1, 1, 1), np.int8))
    >>> sensitive_regions(region, np.array([[[[2, 0, 1, 0]]]])).tolist()
    [[[True, False]]]
    """
    samples, channels, height, width = codes.shape
    tops, lefts = range(0, height, region.height), range(0, width, region.width)
    mask = np.zeros((samples, len(tops), len(lefts)), dtype=np.bool_)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            part = codes[:, :, top : top + region.height, left : left + region.width].astype(np.int64)
            count = channels * part.shape[2] * part.shape[3]
            mask[:, i, j] = part.sum(axis=(1, 2, 3)) << FRACTION_BITS >= region.threshold * count
    return mask


def spread(mask: NDArray[np.bool_], region: Region, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A region mask as a pixel mask [sample, 1, row, column] of a map of `shape`."""
    rows, columns = np.arange(shape[2]) // region.height, np.arange(shape[3]) // region.width
    return mask[:, None, rows[:, None], columns]


def add(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """A residual add: both operands meet their own multiplier, then one rounding shift for the sum."""
    r = layer.requantizer
    assert r is not None
    (a, b), (m_a, m_b) = operands, r.multiplier.ravel().tolist()
    total = formats[0].decode(a) * m_a + formats[1].decode(b) * m_b
    return np.clip(round_shift(total, int(r.shift.ravel()[0])) + layer.output.zero_point, r.low, r.high)


def requantize(layer: Layer, accumulator: Ints) -> Ints:
    """Output codes of accumulators [sample, channel, ...]: multiply, round, shift, add the zero point, clip."""
    r = layer.requantizer
    assert r is not None
    per_channel = (-1,) + (1,) * (accumulator.ndim - 2)
    scaled = round_shift(accumulator * r.multiplier.reshape(per_channel), r.shift.reshape(per_channel))
    return np.clip(scaled + layer.output.zero_point, r.low, r.high)


def round_shift(values: Ints, shift: Ints | int) -> Ints:
    """`values / 2^shift`, rounded to the nearest integer, ties toward plus infinity; shift 0 changes nothing.

    >>> round_shift(np.array([-6, -2, 2, 6, 7]), 2).tolist()
    [-1, 0, 1, 2, 2]
    """
    s = np.asarray(shift, dtype=np.int64)
    half = np.where(s > 0, np.int64(1) << np.maximum(s - 1, 0), 0)
    return (values + half) >> s


def wrap32(values: Ints) -> Ints:
    """The integer in 32-bit two's complement that equals `values` modulo 2^32, still int64.

    >>> wrap32(np.array([2**31 - 1, 2**31, -2**31 - 1])).tolist()
    [2147483647, -2147483648, 2147483647]
    """
    return ((values + 2**31) & (2**32 - 1)) - 2**31


def walk_weight_stationary(a: Ints, w: Ints) -> tuple[Ints, int]:
    """Product of `a` [M, R] and `w` [R, C] on an R x C array that holds the weights: (out [M, C], cycles).

    Weights shift down one row per cycle; then activations enter at the left (row r one cycle after
    row r - 1) and move right while partial sums move down. Deskewing delays column c by C - 1 - c
    cycles and an output register takes the whole vector. The walk ends when that register has held
    the last vector: R + (M + R + C - 1) cycles.

    >>> walk_weight_stationary(np.array([[1, 2]]), np.array([[3], [4]]))
    (array([[11]]), 5)
    """
    samples, (rows, columns) = len(a), w.shape
    cycles = 0
    weight = np.zeros((rows, columns), dtype=np.int64)
    for row in reversed(range(rows)):  # the last row's weights enter first
        weight = np.vstack([w[row][None], weight[:-1]])
        cycles += 1

    activation = np.zeros((rows, columns), dtype=np.int64)
    valid = np.zeros((rows, columns), dtype=np.bool_)
    psum = np.zeros((rows, columns), dtype=np.int64)
    deskew = [[(0, False)] * (columns - c) for c in range(columns)]  # the last stage is the output register
    out: list[list[int]] = []
    step = 0
    while len(out) < samples:
        entering = [step - r for r in range(rows)]  # which sample row r receives
        fresh = np.array([0 <= m < samples for m in entering])
        left = np.array([a[m, r] if fresh[r] else 0 for r, m in enumerate(entering)], dtype=np.int64)
        a_in = np.hstack([left[:, None], activation[:, :-1]])
        valid_in = np.hstack([fresh[:, None], valid[:, :-1]])
        above = np.vstack([np.zeros((1, columns), dtype=np.int64), psum[:-1]])
        for c in range(columns):
            deskew[c] = [(int(psum[-1, c]), bool(valid[-1, c])), *deskew[c][:-1]]
        activation, valid, psum = a_in, valid_in, above + weight * a_in
        cycles, step = cycles + 1, step + 1
        if all(stage[-1][1] for stage in deskew):
            out.append([stage[-1][0] for stage in deskew])
    return np.array(out, dtype=np.int64).reshape(samples, columns), cycles


def walk_output_stationary(a: Ints, w: Ints) -> tuple[Ints, int]:
    """Product of `a` [R, K] and `w` [K, C] on an R x C array that holds the sums: (out [R, C], cycles).

    Activations move right and weights move down, both skewed by one cycle per row or column. When the
    last PE has its K products (K + R + C - 2 cycles), the columns shift the sums out in R cycles.

    >>> walk_output_stationary(np.array([[1, 2]]), np.array([[3], [4]]))
    (array([[11]]), 3)
    """
    (rows, terms), columns = a.shape, w.shape[1]
    activation, weight, psum = (np.zeros((rows, columns), dtype=np.int64) for _ in range(3))
    valid = np.zeros((rows, columns), dtype=np.bool_)
    products = np.zeros((rows, columns), dtype=np.int64)
    cycles = 0
    while products.min() < terms:
        left = [a[r, cycles - r] if 0 <= cycles - r < terms else 0 for r in range(rows)]
        top = [w[cycles - c, c] if 0 <= cycles - c < terms else 0 for c in range(columns)]
        fresh = np.array([0 <= cycles - r < terms for r in range(rows)])
        activation = np.hstack([np.array(left, dtype=np.int64)[:, None], activation[:, :-1]])
        weight = np.vstack([np.array(top, dtype=np.int64)[None], weight[:-1]])
        valid = np.hstack([fresh[:, None], valid[:, :-1]])
        psum = psum + activation * weight
        products = products + valid
        cycles += 1
    out = np.zeros((rows, columns), dtype=np.int64)
    for row in reversed(range(rows)):  # the lowest PE's sum leaves first
        out[row] = psum[-1]
        psum = np.vstack([np.zeros((1, columns), dtype=np.int64), psum[:-1]])
        cycles += 1
    return out, cycles
