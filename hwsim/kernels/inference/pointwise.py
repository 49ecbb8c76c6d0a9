"""Steps that work on maps without weights: pools, adds, changes of layout, regions, attention's rows."""

from __future__ import annotations

import math

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.gemm import store_code, store_codes, value_at, values_of
from hwsim.kernels.inference.instructions import Fit
from hwsim.kernels.inference.microkernels import pack_word
from hwsim.kernels.inference.requantize import HALF_UP, clip_row, codes_of, round_row, round_shift, saturate

i32, i64, u8 = np.int32, np.int64, np.uint8
SATURATE_STEP = int(Fit.SATURATE_STEP)


@kernel()
def load_codes(codes, codes8, strides, x, arena, images, first_code, part, parts):  # type: ignore[no-untyped-def]
    """Write input codes, flat for these samples, into map `x`; `strides` of row, column, channel in a sample.

    The codes stand in `codes8` (uint8) where these are wanted as they are, else in `codes` (int32).
    """
    size = x.height * x.width * x.channels
    rows = images * x.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, x.height)
        at, source = x.origin + n * x.image + row * x.row, n * size + row * strides[0]
        if len(codes8) and strides[2] == 1:
            arena[at:][: x.width * x.channels] = codes8[source:][: x.width * x.channels]
            continue
        for c in range(x.channels):
            if len(codes8):
                for column in range(x.width):
                    arena[at + c + column * x.pixel] = codes8[source + column * strides[1] + c * strides[2]]
            else:
                for column in range(x.width):
                    code = i64(codes[source + column * strides[1] + c * strides[2]])
                    store_code(arena, x, at + c + column * x.pixel, code, first_code)


@kernel()
def save_codes(record, x, arena, kept, images, before, part, parts):  # type: ignore[no-untyped-def]
    """Write the codes of map `x` into `kept`, channels last, where a record of `engine.kept` says.

    `before` samples stand there already. A stored byte is the code less the smallest one, times the map's unit.
    """
    smallest, first, size, each = record[1], record[2], record[3], record[4]
    run, rows = x.width * x.channels, images * x.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, x.height)
        low = arena[x.origin + n * x.image + row * x.row :][:run]
        to = kept[first + (before + n) * size + row * run * each :][: run * each]
        if x.planes == 1:
            shift, base = u8(x.unit - 1), u8(smallest & 255)  # units are 1 and 2
            for i in range(run):
                to[i] = u8(u8(low[i] >> shift) + base)
            continue
        high = arena[x.origin + x.plane + n * x.image + row * x.row :][:run]
        for i in range(run):
            code = ((i64(high[i]) << 8) + i64(low[i])) // x.unit + smallest
            to[i * each] = u8(code & 255)
            if each == 2:
                to[i * each + 1] = u8((code >> 8) & 255)


@kernel()
def max_pool(step, x, y, arena, images, part, parts):  # type: ignore[no-untyped-def]
    """Largest code of each window; padding never wins."""
    rows = images * y.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            at = y.origin + n * y.image + row * y.row + column * y.pixel
            for plane in range(y.planes):
                arena[at + plane * y.plane :][: y.channels] = 0
            for ky in range(step.kernel_h):
                top = row * step.stride_h - step.pad_h + ky * step.dilation_h
                for kx in range(step.kernel_w):
                    left = column * step.stride_w - step.pad_w + kx * step.dilation_w
                    if 0 <= top < x.height and 0 <= left < x.width:
                        _keep_larger(arena, x, y, x.origin + n * x.image + top * x.row + left * x.pixel, at)


@kernel()
def _keep_larger(arena, x, y, source, target):  # type: ignore[no-untyped-def]
    if x.planes == 1:
        codes, best = arena[source:][: x.channels], arena[target:][: x.channels]
        for c in range(x.channels):
            best[c] = max(best[c], codes[c])
        return
    for c in range(x.channels):
        if value_at(arena, x, source + c) > value_at(arena, y, target + c):
            arena[target + c], arena[target + c + y.plane] = arena[source + c], arena[source + c + x.plane]


@kernel()
def sum_pool(step, x, y, arena, words, floats, images, part, parts):  # type: ignore[no-untyped-def]
    """Sum of the values of each window, requantized; padding adds nothing."""
    sums = np.empty(x.channels, i64)
    rows = images * y.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            sums[:] = 0
            for ky in range(step.kernel_h):
                top = row * step.stride_h - step.pad_h + ky * step.dilation_h
                for kx in range(step.kernel_w):
                    left = column * step.stride_w - step.pad_w + kx * step.dilation_w
                    if 0 <= top < x.height and 0 <= left < x.width:
                        source = x.origin + n * x.image + top * x.row + left * x.pixel
                        _add_values(arena, x, source, sums)
            at = y.origin + n * y.image + row * y.row + column * y.pixel
            codes_of(step, 0, sums, words, floats)
            store_codes(arena, y, at, sums, step.first_code)


@kernel()
def _add_values(arena, x, source, sums):  # type: ignore[no-untyped-def]
    if x.planes == 1:
        codes, low = arena[source:][: x.channels], x.low
        for c in range(len(codes)):
            sums[c] += i64(codes[c]) + low
        return
    for c in range(x.channels):
        sums[c] += value_at(arena, x, source + c)


@kernel()
def add(step, x, other, y, arena, words, images, part, parts):  # type: ignore[no-untyped-def]
    """A residual add; the two multipliers stand in `words` at `multiplier`, the common shift at `shift`."""
    m_x, m_other, shift = words[step.multiplier], words[step.multiplier + 1], words[step.shift]
    totals, others = np.empty(y.width * y.channels, i64), np.empty(y.width * y.channels, i64)
    rows = images * y.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, y.height)
        values_of(arena, x, x.origin + n * x.image + row * x.row, totals)
        values_of(arena, other, other.origin + n * other.image + row * other.row, others)
        for c in range(len(totals)):
            totals[c] = totals[c] * m_x + others[c] * m_other
        round_row(totals, shift, step.rounding)
        clip_row(totals, step.zero, step.code_low, step.code_high)
        store_codes(arena, y, y.origin + n * y.image + row * y.row, totals, step.first_code)


@kernel()
def rescale(step, x, y, arena, words, images, part, parts):  # type: ignore[no-untyped-def]
    """One operand of a concatenation, requantized into its part of the result, pixel by pixel."""
    multiplier, shift = words[step.multiplier], words[step.shift]
    totals = np.empty(y.channels, i64)
    rows = images * y.height
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            values_of(arena, x, x.origin + n * x.image + row * x.row + column * x.pixel, totals)
            for c in range(len(totals)):
                totals[c] *= multiplier
            round_row(totals, shift, step.rounding)
            clip_row(totals, step.zero, step.code_low, step.code_high)
            store_codes(arena, y, y.origin + n * y.image + row * y.row + column * y.pixel, totals, step.first_code)


@kernel()
def gather(step, x, y, arena, words, images, part, parts):  # type: ignore[no-untyped-def]
    """Another layout: the byte of each code of y within its sample of x stands in `words` at `table`."""
    pixels = images * y.height * y.width
    for p in range(part * pixels // parts, (part + 1) * pixels // parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        at = y.origin + n * y.image + row * y.row + column * y.pixel
        source = x.origin + n * x.image
        for c in range(y.channels):
            place = source + words[step.table + inside * y.channels + c]
            for plane in range(y.planes):
                arena[at + c + plane * y.plane] = arena[place + plane * x.plane]


@kernel()
def pack(step, x, y, arena, images, part, parts):  # type: ignore[no-untyped-def]
    """Codes of -1 and +1 as bits, 32 channels to a word of four bytes; bits beyond the channels are 0."""
    pixels = images * y.height * y.width
    for p in range(part * pixels // parts, (part + 1) * pixels // parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        source = x.origin + n * x.image + row * x.row + column * x.pixel
        target = y.origin + n * y.image + row * y.row + column * y.pixel
        for c in range(0, x.channels, 32):
            word = i64(pack_word(arena.ctypes.data + source + c))  # type: ignore[call-arg]
            if x.channels - c < 32:
                word &= (i64(1) << (x.channels - c)) - 1
            for byte in range(4):
                arena[target + c // 8 + byte] = u8((word >> (8 * byte)) & 255)


@kernel()
def split(step, x, y, arena, masks, images, part, parts):  # type: ignore[no-untyped-def]
    """Region precision as a plain convolution: decide on regions, then write a map of two planes.

    The first plane of y holds the codes where the region is sensitive, the second the coarse codes
    (shifted back up) where it is not; the other plane is zero. `masks` bool [sample, decision] receives
    the decisions. Equals `reference.sensitive_regions`.
    """
    coarse, totals = coarse_codes(step), np.empty(x.channels, i64)
    sensitive = np.empty(x.width * x.channels, u8)  # 255 for every code of a row that is, else 0
    for n in range(part * images // parts, (part + 1) * images // parts):
        for top in range(0, x.height, step.region_h):
            tall = min(step.region_h, x.height - top)
            if step.per_channel:
                _decide_by_channel(step, x, arena, n, top, tall, masks[n], sensitive, totals)
            else:
                _decide(step, x, arena, n, top, tall, masks[n], sensitive)
            for row in range(top, top + tall):
                codes = arena[x.origin + n * x.image + row * x.row :][: len(sensitive)]
                fine = arena[y.origin + n * y.image + row * y.row :][: len(sensitive)]
                low = arena[y.origin + y.plane + n * y.image + row * y.row :][: len(sensitive)]
                for i in range(len(sensitive)):
                    fine[i] = codes[i] & sensitive[i]
                _coarsen(step, codes, sensitive, coarse, low)


@kernel()
def _decide(step, x, arena, n, top, tall, mask, sensitive):  # type: ignore[no-untyped-def]
    """Decide on one row of regions, `tall` rows from `top` on, each by the sum over all of its channels."""
    across = (x.width + step.region_w - 1) // step.region_w
    first = step.mask + top // step.region_h * across
    for j in range(across):
        left, broad = j * step.region_w, min(step.region_w, x.width - j * step.region_w)
        run, total = broad * x.channels, i64(0)
        for row in range(top, top + tall):
            codes = arena[x.origin + n * x.image + row * x.row + left * x.pixel :][:run]
            for i in range(run):
                total += i64(codes[i])
        reached = total << step.fraction_bits >= step.threshold * (tall * run)
        mask[first + j] = reached
        sensitive[left * x.channels :][:run] = 255 if reached else 0


@kernel()
def _decide_by_channel(step, x, arena, n, top, tall, mask, sensitive, totals):  # type: ignore[no-untyped-def]
    """The same where every channel decides for itself; its decisions lie in `mask` as [channel, row, column]."""
    across, down = (x.width + step.region_w - 1) // step.region_w, (x.height + step.region_h - 1) // step.region_h
    first = step.mask + top // step.region_h * across
    for j in range(across):
        left, broad = j * step.region_w, min(step.region_w, x.width - j * step.region_w)
        totals[:] = 0
        for row in range(top, top + tall):
            for column in range(left, left + broad):
                codes = arena[x.origin + n * x.image + row * x.row + column * x.pixel :][: x.channels]
                for c in range(len(codes)):
                    totals[c] += i64(codes[c])
        for c in range(x.channels):
            reached = totals[c] << step.fraction_bits >= step.threshold * (tall * broad)
            mask[first + c * down * across + j] = reached
            totals[c] = 255 if reached else 0
        for column in range(left, left + broad):
            codes = sensitive[column * x.channels :][: x.channels]
            for c in range(len(codes)):
                codes[c] = u8(totals[c])


@kernel()
def _coarsen(step, codes, sensitive, coarse, low):  # type: ignore[no-untyped-def]
    """Coarse codes where a row is not sensitive: by arithmetic, which runs in vectors, or from the table."""
    if step.rounding == HALF_UP:  # no sum leaves a byte: what would round up beyond the largest is capped before
        half = (1 << step.drop) >> 1
        cap, mask = (((1 << step.low_bits) - 1) << step.drop) + half - 1, 255 - ((1 << step.drop) - 1)
        for i in range(len(low)):
            low[i] = u8(u8(u8(min(codes[i], u8(cap))) + u8(half)) & u8(mask)) & ~sensitive[i]
    else:
        for i in range(len(low)):
            low[i] = coarse[codes[i]] & ~sensitive[i]


@kernel()
def coarse_codes(step):  # type: ignore[no-untyped-def]
    """What each byte becomes where its region is not sensitive: uint8 [256]."""
    coarse, largest = np.empty(256, u8), (i64(1) << step.low_bits) - 1
    for code in range(256):
        coarse[code] = min(max(round_shift(i64(code), step.drop, step.rounding), i64(0)), largest) << step.drop
    return coarse


@kernel()
def multiply_rows(step, x, other, y, arena, words, floats, images, part, parts):  # type: ignore[no-untyped-def]
    """Products of two activations, [..., m, k] by [..., k, n], in int64; `depth` is k, `filters` n, `table_size` m."""
    sums = np.empty(step.filters, i64)
    rows = images * y.width
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, y.width)
        at_x = x.origin + n * x.image + row * x.pixel
        sums[:] = 0
        for k in range(step.depth):
            value = value_at(arena, x, at_x + k)
            at = other.origin + n * other.image + (row // step.table_size * step.depth + k) * other.pixel
            for c in range(step.filters):
                total = sums[c] + value * value_at(arena, other, at + c)
                if step.fit == SATURATE_STEP:
                    total = saturate(total, step.fit_bits)
                sums[c] = total
        at = y.origin + n * y.image + row * y.pixel
        codes_of(step, 0, sums, words, floats)
        store_codes(arena, y, at, sums, step.first_code)


@kernel()
def softmax(step, x, y, arena, words, images, part, parts):  # type: ignore[no-untyped-def]
    """Softmax over the channels of each pixel. Equals `reference.softmax`."""
    weight = np.empty(x.channels, i64)
    rows = images * x.width
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, x.width)
        at_x, at = x.origin + n * x.image + row * x.pixel, y.origin + n * y.image + row * y.pixel
        largest, total = value_at(arena, x, at_x), i64(0)
        for c in range(x.channels):
            largest = max(largest, value_at(arena, x, at_x + c))
        for c in range(x.channels):
            below = largest - value_at(arena, x, at_x + c)
            weight[c] = words[step.table + below] if below < step.table_size else 0
            total += weight[c]
        for c in range(x.channels):
            share = (2 * weight[c] * step.one + total) // (2 * total) + step.zero
            store_code(arena, y, at + c, min(max(share, step.code_low), step.code_high), step.first_code)


@kernel()
def layer_norm(step, x, y, arena, words, floats, images, part, parts):  # type: ignore[no-untyped-def]
    """Normalize the channels of each pixel, weigh, add the bias. Equals `reference.normalize` and what follows it."""
    size = x.channels
    sums = np.empty(size, i64)
    rows = images * x.width
    for r in range(part * rows // parts, (part + 1) * rows // parts):
        n, row = divmod(r, x.width)
        at_x, at = x.origin + n * x.image + row * x.pixel, y.origin + n * y.image + row * y.pixel
        total, squares = i64(0), i64(0)
        for c in range(size):
            value = value_at(arena, x, at_x + c)
            total += value
            squares += value * value
        root = max(isqrt((size * squares - total * total) << step.root_bits), i64(1))
        for c in range(size):
            centred = (size * value_at(arena, x, at_x + c) - total) << (step.norm_bits + step.root_bits // 2)
            normal = (2 * centred + root) // (2 * root)
            sums[c] = normal * words[step.table + c] + words[step.bias + c]
        codes_of(step, 0, sums, words, floats)
        store_codes(arena, y, at, sums, step.first_code)


@kernel()
def isqrt(value):  # type: ignore[no-untyped-def]
    """The largest integer whose square is not above `value` (below 2^62)."""
    root = i64(math.sqrt(float(value)))
    while root * root > value:
        root -= 1
    while (root + 1) * (root + 1) <= value:
        root += 1
    return root
