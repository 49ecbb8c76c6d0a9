"""Steps without weights: pools, residual adds, layout changes, region precision, matmul, softmax, layer norm."""

from __future__ import annotations

import math

import numpy as np

from hwsim.kernels.compile import kernel
from hwsim.kernels.inference.gemm import load_value, load_values, store_code, store_codes
from hwsim.kernels.inference.instructions import OverflowPolicy
from hwsim.kernels.inference.microkernels import pack_word
from hwsim.kernels.inference.requantize import HALF_UP, clip_row, requantize_row, round_row, round_shift, saturate

i32, i64, u8 = np.int32, np.int64, np.uint8
SATURATE_STEP = int(OverflowPolicy.SATURATE_STEP)


@kernel()
def load_codes(batch, first, x, arena, share):  # type: ignore[no-untyped-def]
    """Store the input codes of the samples from `first` on in map `x`.

    They are read from `batch.codes8` unless it is empty, else from `batch.codes`.
    """
    strides, size = batch.strides, x.height * x.width * x.channels
    codes, codes8 = batch.codes[first * size :], batch.codes8[first * size :]
    rows = share.samples * x.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, x.height)
        at, source = x.origin + n * x.sample + row * x.row, n * size + row * strides[0]
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
                    store_code(arena, x, at + c + column * x.pixel, code, batch.first_code)


@kernel()
def save_codes(record, x, arena, buffer, first_sample, share):  # type: ignore[no-untyped-def]
    """Copy the codes of map `x` into `buffer`, channels last, as a record of `Captures` defines.

    `first_sample` is the number of samples in `buffer` before these. A stored byte is the code less the
    smallest code, times the map's unit.
    """
    smallest, first, size, each = record[1], record[2], record[3], record[4]
    run, rows = x.width * x.channels, share.samples * x.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, x.height)
        low = arena[x.origin + n * x.sample + row * x.row :][:run]
        to = buffer[first + (first_sample + n) * size + row * run * each :][: run * each]
        if x.planes == 1:
            shift, base = u8(x.unit - 1), u8(smallest & 255)  # units are 1 and 2
            for i in range(run):
                to[i] = u8(u8(low[i] >> shift) + base)
            continue
        high = arena[x.origin + x.plane + n * x.sample + row * x.row :][:run]
        for i in range(run):
            code = ((i64(high[i]) << 8) + i64(low[i])) // x.unit + smallest
            to[i * each] = u8(code & 255)
            if each == 2:
                to[i * each + 1] = u8((code >> 8) & 255)


@kernel()
def max_pool(step, x, y, arena, share):  # type: ignore[no-untyped-def]
    """Compute the largest code of each window; padding is not considered."""
    rows = share.samples * y.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            at = y.origin + n * y.sample + row * y.row + column * y.pixel
            for plane in range(y.planes):
                arena[at + plane * y.plane :][: y.channels] = 0
            for ky in range(step.kernel_h):
                top = row * step.stride_h - step.pad_h + ky * step.dilation_h
                for kx in range(step.kernel_w):
                    left = column * step.stride_w - step.pad_w + kx * step.dilation_w
                    if 0 <= top < x.height and 0 <= left < x.width:
                        _max_into(arena, x, y, x.origin + n * x.sample + top * x.row + left * x.pixel, at)


@kernel()
def _max_into(arena, x, y, source, target):  # type: ignore[no-untyped-def]
    """Replace the codes at byte `target` of map y by the larger of them and the codes at byte `source` of map x."""
    if x.planes == 1:
        codes, best = arena[source:][: x.channels], arena[target:][: x.channels]
        for c in range(x.channels):
            best[c] = max(best[c], codes[c])
        return
    for c in range(x.channels):
        if load_value(arena, x, source + c) > load_value(arena, y, target + c):
            arena[target + c], arena[target + c + y.plane] = arena[source + c], arena[source + c + x.plane]


@kernel()
def sum_pool(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Sum the values of each window and requantize the sum; padding adds nothing."""
    sums = np.empty(x.channels, i64)
    rows = share.samples * y.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            sums[:] = 0
            for ky in range(step.kernel_h):
                top = row * step.stride_h - step.pad_h + ky * step.dilation_h
                for kx in range(step.kernel_w):
                    left = column * step.stride_w - step.pad_w + kx * step.dilation_w
                    if 0 <= top < x.height and 0 <= left < x.width:
                        source = x.origin + n * x.sample + top * x.row + left * x.pixel
                        _add_values(arena, x, source, sums)
            at = y.origin + n * y.sample + row * y.row + column * y.pixel
            requantize_row(step, 0, sums, constants)
            store_codes(arena, y, at, sums, step.first_code)


@kernel()
def _add_values(arena, x, source, sums):  # type: ignore[no-untyped-def]
    """Add the values at byte `source` of map x to `sums`, int64 [channel]."""
    if x.planes == 1:
        codes, low = arena[source:][: x.channels], x.low
        for c in range(len(codes)):
            sums[c] += i64(codes[c]) + low
        return
    for c in range(x.channels):
        sums[c] += load_value(arena, x, source + c)


@kernel()
def add(step, x, other, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Compute a residual add; `longs` contains the two multipliers at `multiplier` and their shift at `shift`."""
    longs = constants.longs
    m_x, m_other, shift = longs[step.multiplier], longs[step.multiplier + 1], longs[step.shift]
    totals, others = np.empty(y.width * y.channels, i64), np.empty(y.width * y.channels, i64)
    rows = share.samples * y.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, y.height)
        load_values(arena, x, x.origin + n * x.sample + row * x.row, totals)
        load_values(arena, other, other.origin + n * other.sample + row * other.row, others)
        for c in range(len(totals)):
            totals[c] = totals[c] * m_x + others[c] * m_other
        round_row(totals, shift, step.rounding)
        clip_row(totals, step.zero, step.code_low, step.code_high)
        store_codes(arena, y, y.origin + n * y.sample + row * y.row, totals, step.first_code)


@kernel()
def rescale(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Requantize one operand of a concatenation into its part of the result, pixel by pixel."""
    longs = constants.longs
    multiplier, shift = longs[step.multiplier], longs[step.shift]
    totals = np.empty(y.channels, i64)
    rows = share.samples * y.height
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, y.height)
        for column in range(y.width):
            load_values(arena, x, x.origin + n * x.sample + row * x.row + column * x.pixel, totals)
            for c in range(len(totals)):
                totals[c] *= multiplier
            round_row(totals, shift, step.rounding)
            clip_row(totals, step.zero, step.code_low, step.code_high)
            store_codes(arena, y, y.origin + n * y.sample + row * y.row + column * y.pixel, totals, step.first_code)


@kernel()
def gather(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Change the layout: `longs` contains at `table` the byte of each code of y within its sample of x."""
    longs, pixels = constants.longs, share.samples * y.height * y.width
    for p in range(share.part * pixels // share.parts, (share.part + 1) * pixels // share.parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        at = y.origin + n * y.sample + row * y.row + column * y.pixel
        source = x.origin + n * x.sample
        for c in range(y.channels):
            place = source + longs[step.table + inside * y.channels + c]
            for plane in range(y.planes):
                arena[at + c + plane * y.plane] = arena[place + plane * x.plane]


@kernel()
def pack_bits(step, x, y, arena, share):  # type: ignore[no-untyped-def]
    """Pack codes of -1 and +1 as bits, 32 channels per word; bits beyond the channels are 0."""
    pixels = share.samples * y.height * y.width
    for p in range(share.part * pixels // share.parts, (share.part + 1) * pixels // share.parts):
        n, inside = divmod(p, y.height * y.width)
        row, column = divmod(inside, y.width)
        source = x.origin + n * x.sample + row * x.row + column * x.pixel
        target = y.origin + n * y.sample + row * y.row + column * y.pixel
        for c in range(0, x.channels, 32):
            word = i64(pack_word(arena.ctypes.data + source + c))  # type: ignore[call-arg]
            if x.channels - c < 32:
                word &= (i64(1) << (x.channels - c)) - 1
            for byte in range(4):
                arena[target + c // 8 + byte] = u8((word >> (8 * byte)) & 255)


@kernel()
def split_regions(step, x, y, arena, masks, share):  # type: ignore[no-untyped-def]
    """Find the sensitive regions, and write fine and coarse codes into two planes for a plain convolution.

    The first plane of y contains the codes of sensitive regions, the second the coarse codes (shifted
    back up) of all other regions; elsewhere a plane is zero. The decisions are written to `masks`, bool
    [sample, decision]. Equals `reference.sensitive_regions`.
    """
    coarse, totals = coarse_codes(step), np.empty(x.channels, i64)
    sensitive = np.empty(x.width * x.channels, u8)  # 255 for sensitive codes of a row, else 0
    for n in range(share.part * share.samples // share.parts, (share.part + 1) * share.samples // share.parts):
        for top in range(0, x.height, step.region_h):
            tall = min(step.region_h, x.height - top)
            if step.per_channel:
                _mark_by_channel(step, x, arena, n, top, tall, masks[n], sensitive, totals)
            else:
                _mark_regions(step, x, arena, n, top, tall, masks[n], sensitive)
            for row in range(top, top + tall):
                codes = arena[x.origin + n * x.sample + row * x.row :][: len(sensitive)]
                fine = arena[y.origin + n * y.sample + row * y.row :][: len(sensitive)]
                low = arena[y.origin + y.plane + n * y.sample + row * y.row :][: len(sensitive)]
                for i in range(len(sensitive)):
                    fine[i] = codes[i] & sensitive[i]
                _coarsen(step, codes, sensitive, coarse, low)


@kernel()
def _mark_regions(step, x, arena, n, top, tall, mask, sensitive):  # type: ignore[no-untyped-def]
    """Mark the sensitive regions of one row of regions, by the sum over all channels.

    The regions have the `tall` rows from `top` on of sample `n`. `mask` bool [decision] and `sensitive`
    uint8 [column * channel] are written.
    """
    across = (x.width + step.region_w - 1) // step.region_w
    first = step.mask + top // step.region_h * across
    for j in range(across):
        left, broad = j * step.region_w, min(step.region_w, x.width - j * step.region_w)
        run, total = broad * x.channels, i64(0)
        for row in range(top, top + tall):
            codes = arena[x.origin + n * x.sample + row * x.row + left * x.pixel :][:run]
            for i in range(run):
                total += i64(codes[i])
        reached = total << step.fraction_bits >= step.threshold * (tall * run)
        mask[first + j] = reached
        sensitive[left * x.channels :][:run] = 255 if reached else 0


@kernel()
def _mark_by_channel(step, x, arena, n, top, tall, mask, sensitive, totals):  # type: ignore[no-untyped-def]
    """Mark the sensitive regions of one row of regions, each channel by its own sum.

    Arguments as in `_mark_regions`. `mask` is [channel, region row, region column], flat; `totals` int64
    [channel] is work space.
    """
    across, down = (x.width + step.region_w - 1) // step.region_w, (x.height + step.region_h - 1) // step.region_h
    first = step.mask + top // step.region_h * across
    for j in range(across):
        left, broad = j * step.region_w, min(step.region_w, x.width - j * step.region_w)
        totals[:] = 0
        for row in range(top, top + tall):
            for column in range(left, left + broad):
                codes = arena[x.origin + n * x.sample + row * x.row + column * x.pixel :][: x.channels]
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
    """Write the coarse codes of a row to `low` where it is not sensitive: by vector arithmetic, or from the table."""
    if step.rounding == HALF_UP:  # codes are capped before half is added, so that no sum exceeds a byte
        half = (1 << step.drop) >> 1
        cap, mask = (((1 << step.low_bits) - 1) << step.drop) + half - 1, 255 - ((1 << step.drop) - 1)
        for i in range(len(low)):
            low[i] = u8(u8(u8(min(codes[i], u8(cap))) + u8(half)) & u8(mask)) & ~sensitive[i]
    else:
        for i in range(len(low)):
            low[i] = coarse[codes[i]] & ~sensitive[i]


@kernel()
def coarse_codes(step):  # type: ignore[no-untyped-def]
    """Return the coarse code of each byte, uint8 [256]."""
    coarse, largest = np.empty(256, u8), (i64(1) << step.low_bits) - 1
    for code in range(256):
        coarse[code] = min(max(round_shift(i64(code), step.drop, step.rounding), i64(0)), largest) << step.drop
    return coarse


@kernel()
def matmul(step, x, other, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Multiply two activations, [..., m, k] by [..., k, n], in int64; `depth` is k, `filters` n, `table_size` m."""
    sums = np.empty(step.filters, i64)
    rows = share.samples * y.width
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, y.width)
        at_x = x.origin + n * x.sample + row * x.pixel
        sums[:] = 0
        for k in range(step.depth):
            value = load_value(arena, x, at_x + k)
            at = other.origin + n * other.sample + (row // step.table_size * step.depth + k) * other.pixel
            for c in range(step.filters):
                total = sums[c] + value * load_value(arena, other, at + c)
                if step.overflow == SATURATE_STEP:
                    total = saturate(total, step.accumulator_bits)
                sums[c] = total
        at = y.origin + n * y.sample + row * y.pixel
        requantize_row(step, 0, sums, constants)
        store_codes(arena, y, at, sums, step.first_code)


@kernel()
def softmax(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Compute the softmax over the channels of each pixel. Equals `reference.softmax`."""
    longs, weight = constants.longs, np.empty(x.channels, i64)
    rows = share.samples * x.width
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, x.width)
        at_x, at = x.origin + n * x.sample + row * x.pixel, y.origin + n * y.sample + row * y.pixel
        largest, total = load_value(arena, x, at_x), i64(0)
        for c in range(x.channels):
            largest = max(largest, load_value(arena, x, at_x + c))
        for c in range(x.channels):
            below = largest - load_value(arena, x, at_x + c)
            weight[c] = longs[step.table + below] if below < step.table_size else 0
            total += weight[c]
        for c in range(x.channels):
            share = (2 * weight[c] * step.one + total) // (2 * total) + step.zero
            store_code(arena, y, at + c, min(max(share, step.code_low), step.code_high), step.first_code)


@kernel()
def layer_norm(step, x, y, arena, constants, share):  # type: ignore[no-untyped-def]
    """Normalize the channels of each pixel, then weight, add the bias and requantize.

    Equals `reference.normalize` followed by the affine step and `reference.requantize`.
    """
    longs, size = constants.longs, x.channels
    sums = np.empty(size, i64)
    rows = share.samples * x.width
    for r in range(share.part * rows // share.parts, (share.part + 1) * rows // share.parts):
        n, row = divmod(r, x.width)
        at_x, at = x.origin + n * x.sample + row * x.pixel, y.origin + n * y.sample + row * y.pixel
        total, squares = i64(0), i64(0)
        for c in range(size):
            value = load_value(arena, x, at_x + c)
            total += value
            squares += value * value
        root = max(isqrt((size * squares - total * total) << step.root_bits), i64(1))
        for c in range(size):
            centered = (size * load_value(arena, x, at_x + c) - total) << (step.norm_bits + step.root_bits // 2)
            normal = (2 * centered + root) // (2 * root)
            sums[c] = normal * longs[step.table + c] + longs[step.bias + c]
        requantize_row(step, 0, sums, constants)
        store_codes(arena, y, at, sums, step.first_code)


@kernel()
def isqrt(value):  # type: ignore[no-untyped-def]
    """Return the largest integer whose square is at most `value` (below 2^62)."""
    root = i64(math.sqrt(float(value)))
    while root * root > value:
        root -= 1
    while (root + 1) * (root + 1) <= value:
        root += 1
    return root
