"""Definition of the integer semantics (HQ1): plain numpy int64, slow, written to be checked by reading.

Every kernel must equal these functions bit for bit. The first part computes a network layer by layer. The second part
moves operands through the registers of a PE array, one cycle at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hwsim.formats import Format
from hwsim.network.graph import Network
from hwsim.network.layer import (
    FRACTION_BITS,
    INPUT,
    NORM_BITS,
    ROOT_BITS,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Overflow,
    Region,
    Requantizer,
    Rounding,
    Thresholds,
    along_channels,
)

Ints = NDArray[np.int64]


def run(network: Network, codes: NDArray[np.integer]) -> dict[str, Ints]:
    """Compute the output codes of every layer; the last layer's output is its raw accumulator.

    Parameters
    ----------
    codes : input codes, [sample, *input_shape]

    Returns
    -------
    int64 [sample, *shape] by layer name, the input included
    """
    values: dict[str, Ints] = {INPUT: codes.astype(np.int64)}
    for layer in network.layers:
        operands = [values[name] for name in layer.inputs]
        formats = [network.formats[name] for name in layer.inputs]
        values[layer.name] = compute(layer, operands, formats)
    return values


def compute(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """Compute the output codes of one layer, int64 [sample, ...], from the codes and formats of its inputs."""
    x = operands[0]
    match layer.op:
        case Op.FLATTEN:
            return x.reshape(len(x), math.prod(x.shape[1:]))
        case Op.RESHAPE:
            return x.reshape(len(x), *layer.shape)
        case Op.TRANSPOSE:
            return x.transpose(0, *(axis + 1 for axis in layer.axes))
        case Op.MAX_POOL:
            largest: Ints = windows(x, layer.geometry, fill=formats[0].qmin).max(axis=(-2, -1))
            return largest
        case Op.ADD:
            return add(layer, operands, formats)
        case Op.CONCAT:
            return concat(layer, operands, formats)
        case Op.SOFTMAX:
            return softmax(layer, x)
    accumulator = accumulate(layer, operands, formats)
    return accumulator if layer.requantizer is None else requantize(layer, accumulator)


def accumulate(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """Compute the accumulator of a layer before requantization, int64 [sample, channel, ...].

    Convolution, linear, matmul: sum of the products of decoded codes, plus the bias. Average pools: sum of the values
    in the window; the division is part of the requantizer's multiplier. Layer norm: normalized value times weight, plus
    the bias. Padding has the value zero, which is the code of the zero point.
    """
    x = formats[0].decode(operands[0])
    if layer.accumulator.overflow is Overflow.SATURATE_STEP:
        return saturate_steps(layer, operands, formats)
    match layer.op:
        case Op.GLOBAL_AVG_POOL:
            sums = x.sum(axis=(2, 3), keepdims=True)
        case Op.AVG_POOL:
            sums = windows(x, layer.geometry, fill=0).sum(axis=(-2, -1))
        case Op.MATMUL:
            sums = x @ formats[1].decode(operands[1])
        case Op.LAYER_NORM:
            sums = normalize(x) * _weight(layer) + _bias(layer)
        case Op.LINEAR:
            sums = x @ _weight(layer).T + _bias(layer)
        case _ if layer.region is None:
            sums = convolve(x, _weight(layer), layer.geometry) + _bias(layer)[:, None, None]
        case _:
            sums = region_products(layer, layer.region, operands[0], formats[0]) + _bias(layer)[:, None, None]
    return apply_overflow(sums, layer.accumulator)


def apply_overflow(sums: Ints, accumulator: Accumulator) -> Ints:
    """Apply the overflow policy to exact sums: wrap or saturate; under `check` no sum overflows.

    >>> apply_overflow(np.array([127, 128]), Accumulator(8)).tolist()
    [127, -128]
    >>> apply_overflow(np.array([127, 128]), Accumulator(8, Overflow.SATURATE_END)).tolist()
    [127, 127]
    """
    if accumulator.overflow is Overflow.SATURATE_END:
        return np.clip(sums, accumulator.low, accumulator.high)
    return wrap(sums, accumulator.bits)


def saturate_steps(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """Compute sums that start at the bias and saturate after every product.

    The order of the reduction is (kernel row, kernel column, channel). The result is int64 [sample, channel, ...].
    """
    x = formats[0].decode(operands[0])
    if layer.op is Op.CONV:
        groups = layer.geometry.groups
        patches = windows(x, layer.geometry, fill=0).transpose(0, 2, 3, 4, 5, 1)  # [n, h, w, ky, kx, channel]
        terms_per_group = math.prod(_weight(layer).shape[1:])
        x = np.stack([part.reshape(*patches.shape[:3], terms_per_group) for part in np.split(patches, groups, axis=-1)])
        w = _weight(layer).transpose(0, 2, 3, 1).reshape(groups, -1, x.shape[-1])  # [group, filter, term]
        terms = (x[:, :, :, :, None, k] * w[:, None, None, None, :, k] for k in range(x.shape[-1]))
        start = np.broadcast_to(_bias(layer).reshape(groups, 1, 1, 1, -1), (*x.shape[:4], w.shape[1]))
    elif layer.op is Op.LINEAR:
        w = _weight(layer)
        terms = (x[..., None, k] * w[:, k] for k in range(x.shape[-1]))
        start = np.broadcast_to(_bias(layer), (*x.shape[:-1], len(w)))
    else:
        b = formats[1].decode(operands[1])
        terms = (x[..., :, k, None] * b[..., None, k, :] for k in range(x.shape[-1]))
        start = np.zeros((*x.shape[:-1], b.shape[-1]), dtype=np.int64)
    low, high = layer.accumulator.low, layer.accumulator.high
    sums = np.clip(start, low, high)
    for term in terms:
        sums = np.clip(sums + term, low, high)
    if layer.op is not Op.CONV:
        return sums
    return np.concatenate([group.transpose(0, 3, 1, 2) for group in sums], axis=1)


def convolve(x: Ints, w: Ints, geometry: Geometry) -> Ints:
    """Convolve values [sample, channel, row, column] with weights [filter, channel of group, row, column].

    >>> convolve(np.ones((1, 1, 3, 3), np.int64), np.ones((1, 1, 2, 2), np.int64), Geometry((2, 2))).tolist()
    [[[[4, 4], [4, 4]]]]
    """
    patches = windows(x, geometry, fill=0)
    x_groups = np.split(patches, geometry.groups, axis=1)
    w_groups = np.split(w, geometry.groups, axis=0)
    sums = [np.einsum("nchwyx,fcyx->nfhw", px, pw) for px, pw in zip(x_groups, w_groups, strict=True)]
    return np.concatenate(sums, axis=1)


def windows(x: Ints, geometry: Geometry, fill: int) -> Ints:
    """Return the windows of a padded map: [sample, channel, out row, out column, kernel row, kernel column]."""
    (sh, sw), (dh, dw), (kh, kw) = geometry.stride, geometry.dilation, geometry.kernel
    top, bottom, left, right = geometry.pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    span = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    return sliding_window_view(padded, span, axis=(2, 3))[:, :, ::sh, ::sw, ::dh, ::dw]


def region_products(layer: Layer, region: Region, x_codes: Ints, x_format: Format) -> Ints:
    """Convolve at full width where the input pixel is sensitive, and at the low width elsewhere.

    `x_codes` is [sample, channel, row, column]; the result is the exact sum without the bias, [sample, filter, ...].
    """
    assert layer.weight is not None
    x = x_format.decode(x_codes)
    sensitive = spread(sensitive_regions(region, x_codes), region, x.shape)
    drop, w_drop = x_format.bits - region.low_bits, layer.weight.format.bits - region.low_bits
    coarse = np.clip(round_shift(x, drop, region.rounding), 0, (1 << region.low_bits) - 1)
    fine_products = convolve(np.where(sensitive, x, 0), layer.weight.values(), layer.geometry)
    coarse_products = convolve(np.where(sensitive, 0, coarse), region.low_weight.astype(np.int64), layer.geometry)
    return fine_products + (coarse_products << (drop + w_drop))


def sensitive_regions(region: Region, codes: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the mask of sensitive regions of the input map: bool [sample, region row, region column].

    With `per_channel` the mask is bool [sample, channel, region row, region column].

    >>> region = Region(1, 2, threshold=16, low_weight=np.zeros((1, 1, 1, 1), np.int8))
    >>> sensitive_regions(region, np.array([[[[2, 0, 1, 0]]]])).tolist()
    [[[True, False]]]
    """
    _, _, height, width = codes.shape
    tops, lefts = range(0, height, region.height), range(0, width, region.width)
    groups = codes[:, :, None] if region.per_channel else codes[:, None]  # [sample, mask channel, its channels, ...]
    mask = np.zeros((*groups.shape[:2], len(tops), len(lefts)), dtype=np.bool_)
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            part = groups[..., top : top + region.height, left : left + region.width].astype(np.int64)
            count = math.prod(part.shape[2:])
            mask[:, :, i, j] = part.sum(axis=(2, 3, 4)) << FRACTION_BITS >= region.threshold * count
    return mask if region.per_channel else mask[:, 0]


def spread(mask: NDArray[np.bool_], region: Region, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Expand a region mask to a pixel mask [sample, channel, row, column] of a map of `shape`.

    The channel axis has size 1 unless the region decides per channel.
    """
    rows, columns = np.arange(shape[2]) // region.height, np.arange(shape[3]) // region.width
    return (mask if region.per_channel else mask[:, None])[:, :, rows[:, None], columns]


def add(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """Compute a residual add: each operand times its own multiplier, then one rounding shift of the sum."""
    r = layer.requantizer
    assert isinstance(r, Requantizer)
    (a, b), (m_a, m_b) = operands, r.multiplier.ravel().tolist()
    total = formats[0].decode(a) * m_a + formats[1].decode(b) * m_b
    return clip_to_codes(round_shift(total, r.shift, r.rounding), layer, r)


def concat(layer: Layer, operands: list[Ints], formats: list[Format]) -> Ints:
    """Concatenate along the first axis of a sample; each operand has its own multiplier and shift."""
    r = layer.requantizer
    assert isinstance(r, Requantizer)
    parts = [
        round_shift(format.decode(codes) * m, s, r.rounding)
        for codes, format, m, s in zip(
            operands, formats, r.multiplier.ravel().tolist(), r.shift.ravel().tolist(), strict=True
        )
    ]
    return clip_to_codes(np.concatenate(parts, axis=1), layer, r)


def softmax(layer: Layer, codes: Ints) -> Ints:
    """Compute a softmax over the last axis by a table of weights and one rounded division.

    >>> from hwsim.formats import Format
    >>> from hwsim.network.layer import Softmax
    >>> rule = Softmax(np.array([64, 32, 16]), one=256)
    >>> layer = Layer("p", Op.SOFTMAX, ("x",), Format(8, signed=True, zero_point=-128), softmax=rule)
    >>> softmax(layer, np.array([[7, 6, 5, 1]])).tolist()  # 4/7, 2/7, 1/7 and 0
    [[18, -55, -91, -128]]
    """
    rule = layer.softmax
    assert rule is not None
    below = codes.max(axis=-1, keepdims=True) - codes
    weight = np.where(below < len(rule.table), rule.table[np.minimum(below, len(rule.table) - 1)], 0)
    total = weight.sum(axis=-1, keepdims=True)
    share = (2 * weight * rule.one + total) // (2 * total)  # rounded half up
    codes_out: Ints = np.clip(share + layer.output.zero_point, layer.output.qmin, layer.output.qmax)
    return codes_out


def normalize(values: Ints) -> Ints:
    """Return (value - mean) / standard deviation over the last axis, with NORM_BITS fraction bits, rounded half up.

    For D values the numerator `D * value - sum` and the variance `D * sum of squares - sum^2` are exact. The standard
    deviation is the integer square root of the variance with ROOT_BITS more bits. A constant row is all zeros.

    >>> (normalize(np.array([[1, 2, 3], [5, 5, 5]])) / 2**NORM_BITS).round(2).tolist()
    [[-1.22, 0.0, 1.22], [0.0, 0.0, 0.0]]
    """
    size = values.shape[-1]
    total = values.sum(axis=-1, keepdims=True)
    centered = size * values - total
    variance = size * (values * values).sum(axis=-1, keepdims=True) - total * total
    root = np.maximum(isqrt(variance << ROOT_BITS), 1)
    normal: Ints = (2 * (centered << (NORM_BITS + ROOT_BITS // 2)) + root) // (2 * root)
    return normal


def isqrt(values: Ints) -> Ints:
    """Return the integer square root of each value, rounded down.

    >>> isqrt(np.array([0, 8, 9, 2**62 - 1])).tolist()
    [0, 2, 3, 2147483647]
    """
    return np.array([math.isqrt(v) for v in values.ravel().tolist()], dtype=np.int64).reshape(values.shape)


def requantize(layer: Layer, accumulator: Ints) -> Ints:
    """Convert accumulators [sample, channel, ...] to output codes of the same shape.

    By multiplier and shift: multiply, round, shift, add the zero point, clip. By thresholds: count the levels that the
    accumulator reaches.
    """
    r = layer.requantizer
    if isinstance(r, Thresholds):
        reached = np.zeros_like(accumulator)
        for level in r.levels.T:
            reached += accumulator >= along_channels(level, layer, accumulator.ndim)
        return r.low + reached
    assert r is not None
    multiplier, shift = (along_channels(v, layer, accumulator.ndim) for v in (r.multiplier, r.shift))
    match r.rounding:
        case Rounding.F32_HALF_EVEN:
            scale = multiplier.astype(np.uint32).view(np.float32)
            with np.errstate(over="ignore"):  # an infinite product is clipped as every large product
                product = accumulator.astype(np.float32) * scale
            scaled = np.rint(np.clip(product, -(2.0**62), 2.0**62)).astype(np.int64)
        case Rounding.GEMMLOWP_DOUBLE:
            left, right = np.maximum(31 - shift, 0), np.maximum(shift - 31, 0)
            high = round_shift(wrap(accumulator << left, 32) * multiplier, 31)
            scaled = round_shift(high, right, Rounding.HALF_AWAY)
        case _:
            scaled = round_shift(accumulator * multiplier, shift, r.rounding)
    return clip_to_codes(scaled, layer, r)


def clip_to_codes(scaled: Ints, layer: Layer, r: Requantizer) -> Ints:
    """Add the zero point and clip to the requantizer's range; any shape."""
    return np.clip(scaled + layer.output.zero_point, r.low, r.high)


def round_shift(values: Ints, shift: Ints | int, rounding: Rounding = Rounding.HALF_UP) -> Ints:
    """Divide by 2^shift and round by a rule that is one step; `shift` broadcasts, and 0 changes nothing.

    >>> [round_shift(np.array([-6, -2, 2, 6, 7]), 2, rule).tolist() for rule in Rounding if rule.one_step]
    [[-1, 0, 1, 2, 2], [-2, 0, 0, 2, 2], [-2, -1, 1, 2, 2], [-2, -1, 0, 1, 1], [-1, 0, 0, 1, 1]]
    """
    s = np.asarray(shift, dtype=np.int64)
    down = values >> s
    remainder = values - (down << s)  # 0 to 2^s - 1
    half = np.where(s > 0, np.int64(1) << np.maximum(s - 1, 0), 1)  # for shift 0 the remainder is 0, and no tie
    match rounding:
        case Rounding.HALF_UP:
            up = remainder >= half
        case Rounding.HALF_EVEN:
            up = (remainder > half) | ((remainder == half) & (down & 1 == 1))
        case Rounding.HALF_AWAY:
            up = (remainder > half) | ((remainder == half) & (values >= 0))
        case Rounding.FLOOR:
            up = np.zeros_like(remainder, dtype=np.bool_)
        case Rounding.TRUNC:
            up = (remainder > 0) & (values < 0)
        case _:
            raise AssertionError(f"{rounding} is no single step")
    return down + up


def wrap(values: Ints, bits: int) -> Ints:
    """Return the integers in two's complement of `bits` that equal `values` modulo 2^bits, as int64.

    >>> wrap(np.array([2**31 - 1, 2**31, -2**31 - 1]), 32).tolist()
    [2147483647, -2147483648, 2147483647]
    """
    half = 1 << (bits - 1)
    return ((values + half) & ((1 << bits) - 1)) - half


def _weight(layer: Layer) -> Ints:
    assert layer.weight is not None
    return layer.weight.values()


def _bias(layer: Layer) -> Ints:
    assert layer.bias is not None
    return layer.bias


def walk_weight_stationary(a: Ints, w: Ints) -> tuple[Ints, int]:
    """Multiply `a` [M, R] by `w` [R, C] on a weight-stationary R x C array: (out [M, C], cycles).

    Weights shift down one row per cycle. Then activations enter at the left (row r one cycle after row r - 1) and move
    right, and partial sums move down. Deskewing delays column c by C - 1 - c cycles, and an output register receives
    the whole vector. The last vector leaves the register after R + (M + R + C - 1) cycles.

    >>> walk_weight_stationary(np.array([[1, 2]]), np.array([[3], [4]]))
    (array([[11]]), 5)
    """
    samples, (rows, columns) = len(a), w.shape
    cycles = 0
    weight = np.zeros((rows, columns), dtype=np.int64)
    for row in reversed(range(rows)):  # the weights of the last row enter first
        weight = np.vstack([w[row][None], weight[:-1]])
        cycles += 1

    activation = np.zeros((rows, columns), dtype=np.int64)
    valid = np.zeros((rows, columns), dtype=np.bool_)
    psum = np.zeros((rows, columns), dtype=np.int64)
    deskew = [[(0, False)] * (columns - c) for c in range(columns)]  # the last stage is the output register
    out: list[list[int]] = []
    step = 0
    while len(out) < samples:
        entering = [step - r for r in range(rows)]  # sample that enters row r
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
    """Multiply `a` [R, K] by `w` [K, C] on an output-stationary R x C array: (out [R, C], cycles).

    Activations move right and weights move down, both skewed by one cycle per row or column. After the K products of
    the last PE (K + R + C - 2 cycles), the columns shift the sums out in R cycles.

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
    for row in reversed(range(rows)):  # the sum of the lowest PE leaves first
        out[row] = psum[-1]
        psum = np.vstack([np.zeros((1, columns), dtype=np.int64), psum[:-1]])
        cycles += 1
    return out, cycles


def walk_variable_rows(durations: Ints, depth: int) -> tuple[Ints, Ints]:
    """Return the start and end cycles of wavefronts in rows of PEs of variable speed: (begins, ends).

    A row starts its next wavefront when it is idle, its output register is free, and the partial sum of the row above
    is available. At the end the sum moves into the output register, and from there, when there is space, into a FIFO of
    `depth` sums before the row below. Without a FIFO the row below reads the register. Wavefronts of 0 cycles, and all
    moves, complete within a cycle. The sums of the last row leave at once.

    Parameters
    ----------
    durations : int64 [wavefront, row], cycles of each wavefront in each row
    depth : partial sums in the FIFO of a row

    Returns
    -------
    begins, ends : int64 [wavefront, row]

    >>> begins, ends = walk_variable_rows(np.array([[1, 4], [1, 1], [1, 1]]), depth=0)
    >>> begins.tolist(), ends.tolist()
    ([[0, 1], [1, 5], [5, 6]], [[1, 5], [2, 6], [6, 7]])
    >>> walk_variable_rows(np.array([[1, 4], [1, 1], [1, 1]]), depth=1)[0].tolist()  # the first row runs ahead
    [[0, 1], [1, 5], [2, 6]]
    """
    wavefronts, rows = durations.shape
    begins, ends = np.zeros_like(durations), np.zeros_like(durations)
    started, left = [0] * rows, [0] * rows  # wavefronts started; cycles left of the current wavefront
    working, register, queue = [False] * rows, [False] * rows, [0] * rows
    cycle = 0
    while any(working) or min(started) < wavefronts:
        moving = True
        while moving:
            moving = False
            for r in range(rows):
                if working[r] and left[r] == 0:
                    working[r], register[r], moving = False, True, True
                    ends[started[r] - 1, r] = cycle
                if register[r] and (r == rows - 1 or queue[r] < depth):
                    register[r], moving = False, True
                    queue[r] += r < rows - 1
                free = not working[r] and not register[r]
                available = r == 0 or queue[r - 1] > 0 or register[r - 1]
                if free and available and started[r] < wavefronts:
                    if r > 0 and queue[r - 1] > 0:
                        queue[r - 1] -= 1
                    elif r > 0:
                        register[r - 1] = False
                    begins[started[r], r], left[r] = cycle, int(durations[started[r], r])
                    started[r], working[r], moving = started[r] + 1, True, True
        cycle, left = cycle + 1, [cycles - 1 for cycles in left]
    return begins, ends
