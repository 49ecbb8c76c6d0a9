"""Switching activity of a weight-stationary array: Hamming distances between register contents of consecutive cycles.

There are two counts per sample. The operand count weights the bits that change in an activation
register with a number per register; it reads every code once. The psum count needs every partial sum
of the array, as many as there are products, so it is computed for blocks of PEs and cycles that the
caller chooses. `hwsim.machine.activity.toggles` chooses registers, weights and blocks.

`popcount`, `wire_bits`, `borrow`, `decode` and `prefix_toggles` are defined in numpy; compiled code
has the same functions as vector instructions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from hwsim.kernels.barrier import CallSlots, begin_call, end_call
from hwsim.kernels.compile import kernel
from hwsim.kernels.llvm import constant, load, splat, store

LANES = 16
"""Columns of a block of PEs."""

PIXELS = 4
"""Consecutive cycles of a block: there are PIXELS - 1 transitions between them."""

i64 = np.int64
i64_type = ir.IntType(64)


class Wires(NamedTuple):
    """Codes on the activation wires; all fields have one dtype, uint8 or uint16.

    Attributes
    ----------
    codes : [sample, code], channels last
    sensitive : [sample, code], all ones for sensitive codes, else 0; no rows for a layer without regions
    zero : subtracted from a code before its bits are counted; 0 with regions
    mask : bits of the difference that count; all bits with regions
    """

    codes: NDArray[Any]
    sensitive: NDArray[Any]
    zero: Any
    mask: Any


class OperandPairs(NamedTuple):
    """Pairs of runs of codes that follow each other in an activation register, and their weights.

    Attributes
    ----------
    entries : int64 [entry, (p, q)], first codes of the two runs; q = -1 stands for a run of zero bits
    groups : int64 [group, (first entry, end, codes, offset)], entries with runs of one length and the
        offset of their weights, one per code. A group has so few entries that the distances of a code
        add up within the dtype of the wires
    ones : int32 or int64 [weight]; with regions, weights of a distance with a sensitive code
    low_ones : int32 or int64 [weight], weights of all other distances; empty without regions
    """

    entries: NDArray[np.int64]
    groups: NDArray[np.int64]
    ones: NDArray[Any]
    low_ones: NDArray[Any]


class PsumBlocks(NamedTuple):
    """Blocks of PEs and cycles whose partial sums are computed.

    Attributes
    ----------
    decoding : int64 (flip, unit, offset): a code c has the value unit * (c ^ flip) - offset
    inputs : int64 [1 + pixel, tap], first code of the input pixel that a tap reads; -1 for padding and for
        the pauses before and after a stream
    channels : channels of one group
    blocks : int64 [block, (group, first row, end row, first filter, offset of the first pixel)], rows of the
        reduction
    weights : int32 or int64 [plane, group, reduction, filter], filters padded with zeros
    mask : bits of a partial sum that count
    rows : rows of the array; those below a block's rows pass the last sum on
    """

    decoding: NDArray[np.int64]
    inputs: NDArray[np.int64]
    channels: int
    blocks: NDArray[np.int64]
    weights: NDArray[Any]
    mask: int
    rows: int


class RegionRule(NamedTuple):
    """Selection of fine and coarse codes in a layer with region precision.

    Attributes
    ----------
    decisions : int64 [pixel, decider], offsets of a pixel's decisions in a sample's mask: one for all
        channels, or one per channel
    coarse : [code] of the codes' dtype, coarse code of each code
    """

    decisions: NDArray[np.int64]
    coarse: NDArray[Any]


class SplitCodes(NamedTuple):
    """Results of `split_codes`, of the codes' dtype.

    Attributes
    ----------
    planes : [2, sample, code], sensitive codes, and coarse codes of all other positions; elsewhere 0
    wires : [sample, code], both planes together
    sensitive : [sample, code], all ones for sensitive codes, else 0
    """

    planes: NDArray[Any]
    wires: NDArray[Any]
    sensitive: NDArray[Any]


class Strided(NamedTuple):
    """Address of an array, and the bytes between its planes and between pixels (operands) or rows (weights)."""

    address: int
    plane: int
    inner: int


def popcount(word):  # type: ignore[no-untyped-def]
    """Return the number of 1 bits of an unsigned integer, in its own type."""
    return np.bitwise_count(word)


def wire_bits(code, zero, mask):  # type: ignore[no-untyped-def]
    """Return the bits `mask` of code - zero; all of one unsigned type."""
    return type(code)((int(code) - int(zero)) & int(mask))


def borrow(array):  # type: ignore[no-untyped-def]
    """Return the same C-contiguous array without a reference to its memory, which the caller keeps alive.

    Slices of an array that threads share change its reference count, and the threads contend for that
    counter: this takes ten times as long as the work of these kernels.
    """
    return array


def decode(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
    """Write the values of `count` codes from `at` on to `values` from `to` on; see PsumBlocks.decoding."""
    flip, unit, offset = decoding
    values[to : to + count] = unit * (codes[at : at + count].astype(values.dtype) ^ flip) - offset


def prefix_toggles(operands, weights, mask, extra):  # type: ignore[no-untyped-def]
    """Return the bits that change in the partial sums of a block of PEs, where they leave and where they enter a PE.

    `operands` [plane, PIXELS, row] and `weights` [plane, row, LANES] are both int32 or both int64. Row r
    has the sum of the products of rows 0 to r, of all planes, modulo 2^32 or 2^64; the bits in `mask`
    count. Every distance counts twice, because the sum that leaves a row enters the next row; a distance
    of the last row counts 2 + `extra` times.
    """
    products = (operands[:, :, :, None] * weights[:, None]).sum(axis=0, dtype=weights.dtype)
    sums = np.cumsum(products, axis=1, dtype=weights.dtype)
    changed = (sums[1:] ^ sums[:-1]).view(f"u{weights.itemsize}") & np.uint64(mask)
    distances = np.bitwise_count(changed).astype(np.int64)
    return 2 * distances.sum() + extra * distances[:, -1].sum()


@kernel(nogil=True)
def share_of_toggles(  # type: ignore[no-untyped-def]
    worker, workers, first, end, counts, codes, on_wires, sensitive, zero, mask, entries, groups, ones, low_ones,
    decoding, inputs, channels, blocks, weights, psum_mask, rows, requested, completed, number,
):  # fmt: skip
    """Compute the share of one of `workers` threads in `array_toggles`: the samples from `first` to `end`.

    The fields of Wires, OperandPairs, PsumBlocks and CallSlots are separate arguments in the order of the
    tuples: unboxing NamedTuples takes 4 % of the simulation of one sample of a small network.
    """
    wires = Wires(on_wires, sensitive, zero, mask)
    pairs = OperandPairs(entries, groups, ones, low_ones)
    psums = PsumBlocks(decoding, inputs, channels, blocks, weights, psum_mask, rows)
    slots = CallSlots(requested, completed, number)
    begin_call(slots, worker, workers)
    array_toggles(first, end, counts, codes, wires, pairs, psums)
    end_call(slots, worker, workers)


@kernel(nogil=True)
def array_toggles(first, end, counts, codes, wires, pairs, psums):  # type: ignore[no-untyped-def]
    """Write both counts of the samples from `first` to `end` to `counts`, int64 [sample, 1 + block].

    Column 0 is `operand_toggles`, or `region_operand_toggles` for a layer with regions. The other columns
    are `psum_toggles` of each block, counted while a sample's codes are in the cache.

    Parameters
    ----------
    codes : uint8 or uint16 [plane, sample, code], channels last
    wires : Wires
    pairs : OperandPairs
    psums : PsumBlocks
    """
    counts, codes = borrow(counts), borrow(codes)
    on_wires, sensitive = borrow(wires.codes), borrow(wires.sensitive)
    pairs = OperandPairs(borrow(pairs.entries), borrow(pairs.groups), borrow(pairs.ones), borrow(pairs.low_ones))
    psums = PsumBlocks(
        borrow(psums.decoding),
        borrow(psums.inputs),
        psums.channels,
        borrow(psums.blocks),
        borrow(psums.weights),
        psums.mask,
        psums.rows,
    )
    for n in range(first, end):
        if len(sensitive) == 0:
            counts[n, 0] = operand_toggles(on_wires[n], wires.zero, wires.mask, pairs)
        else:
            counts[n, 0] = region_operand_toggles(on_wires[n], sensitive[n], pairs)
        psum_toggles(codes[:, n], psums, counts[n, 1:])


@kernel()
def operand_toggles(wires, zero, mask, pairs):  # type: ignore[no-untyped-def]
    """Return the sum of weighted Hamming distances between pairs of runs of codes of one sample.

    `wires` are uint8 or uint16 [code]; of a code the bits `mask` of code - `zero` count, both of that
    type. `pairs` are OperandPairs.
    """
    groups = pairs.groups
    if len(groups) == 0:
        return i64(0)
    entries, ones = pairs.entries, pairs.ones
    distances, total = np.empty(groups[:, 2].max(), wires.dtype), i64(0)
    for g in range(len(groups)):
        first, end, size, offset = groups[g]
        here, weights = distances[:size], ones[offset:][:size]
        here[:] = 0
        for e in range(first, end):
            _add_distances(wires, zero, mask, entries[e, 0], entries[e, 1], here)
        for i in range(size):
            total += i64(here[i]) * weights[i]
    return total


@kernel()
def _add_distances(wires, zero, mask, p, q, distances):  # type: ignore[no-untyped-def]
    """Add the Hamming distances of the runs at codes p and q of `wires` [code] to `distances` [code of a run]."""
    word = distances.dtype.type
    x = wires[p:][: len(distances)]
    if q < 0:
        for i in range(len(distances)):
            distances[i] += popcount(wire_bits(x[i], zero, mask))
        return
    y = wires[q:][: len(distances)]
    for i in range(len(distances)):
        distances[i] += popcount(word(wire_bits(x[i], zero, mask) ^ wire_bits(y[i], zero, mask)))


@kernel()
def region_operand_toggles(wires, sensitive, pairs):  # type: ignore[no-untyped-def]
    """Return the sum of weighted Hamming distances for codes of two widths.

    A distance with a sensitive code is weighted with `pairs.ones`, any other with `pairs.low_ones`. All
    bits of `wires` [code] count; `sensitive` [code] is all ones or 0. Padding and pauses are not sensitive.
    """
    groups = pairs.groups
    if len(groups) == 0:
        return i64(0)
    entries, ones, low_ones = pairs.entries, pairs.ones, pairs.low_ones
    longest, total = groups[:, 2].max(), i64(0)
    fine_distances, coarse_distances = np.empty(longest, wires.dtype), np.empty(longest, wires.dtype)
    for g in range(len(groups)):
        first, end, size, offset = groups[g]
        fine, coarse = fine_distances[:size], coarse_distances[:size]
        weights, low_weights = ones[offset:][:size], low_ones[offset:][:size]
        fine[:] = 0
        coarse[:] = 0
        for e in range(first, end):
            _add_region_distances(wires, sensitive, entries[e, 0], entries[e, 1], fine, coarse)
        for i in range(size):
            total += i64(fine[i]) * weights[i] + i64(coarse[i]) * low_weights[i]
    return total


@kernel()
def _add_region_distances(wires, sensitive, p, q, fine, coarse):  # type: ignore[no-untyped-def]
    """Add the Hamming distances of the runs at codes p and q to `fine` where a code is sensitive, else to `coarse`."""
    word = fine.dtype.type
    x, sensitive_x = wires[p:][: len(fine)], sensitive[p:][: len(fine)]
    if q < 0:
        for i in range(len(fine)):
            distance, either = popcount(x[i]), sensitive_x[i]
            fine[i] += word(distance & either)
            coarse[i] += word(distance & ~either)
        return
    y, sensitive_y = wires[q:][: len(fine)], sensitive[q:][: len(fine)]
    for i in range(len(fine)):
        distance, either = popcount(word(x[i] ^ y[i])), word(sensitive_x[i] | sensitive_y[i])
        fine[i] += word(distance & either)
        coarse[i] += word(distance & ~either)


@kernel(nogil=True)
def share_of_codes(  # type: ignore[no-untyped-def]
    worker, workers, first, end, codes, masks, decisions, coarse, planes, wires, sensitive, requested, completed, number
):
    """Compute the share of one of `workers` threads in `split_codes`; tuples as in `share_of_toggles`."""
    rule, split = RegionRule(decisions, coarse), SplitCodes(planes, wires, sensitive)
    slots = CallSlots(requested, completed, number)
    begin_call(slots, worker, workers)
    split_codes(first, end, codes, masks, rule, split)
    end_call(slots, worker, workers)


@kernel(nogil=True)
def split_codes(first, end, codes, masks, rule, split):  # type: ignore[no-untyped-def]
    """Split the codes of the samples from `first` to `end` into the operands of a layer with regions.

    `codes` [sample, code], channels last; `masks` bool [sample, decision]; `rule` is a RegionRule. The
    results are written to `split`, SplitCodes.
    """
    codes, masks, decisions, coarse = borrow(codes), borrow(masks), borrow(rule.decisions), borrow(rule.coarse)
    planes, wires, sensitive = borrow(split.planes), borrow(split.wires), borrow(split.sensitive)
    for n in range(first, end):
        _split(codes[n], masks[n], decisions, coarse, planes[:, n], wires[n], sensitive[n])


@kernel()
def _split(codes, mask, decisions, coarse, planes, wires, sensitive):  # type: ignore[no-untyped-def]
    """Split the codes [code] of one sample; arguments as in `split_codes`, without the sample axis."""
    word, (pixels, deciders) = codes.dtype.type, decisions.shape
    all_bits, together = word(~word(0)), len(codes) // (pixels * deciders)  # codes that share a decision
    at = 0
    for pixel in range(pixels):
        for decider in range(deciders):
            sensitive[at : at + together] = all_bits if mask[decisions[pixel, decider]] else word(0)
            at += together
    fine, low = planes[0], planes[1]
    for i in range(len(codes)):
        low[i] = coarse[codes[i]]
    for i in range(len(codes)):
        fine[i] = codes[i] & sensitive[i]
        low[i] = low[i] & ~sensitive[i]
        wires[i] = fine[i] | low[i]


@kernel()
def psum_toggles(codes, psums, counts):  # type: ignore[no-untyped-def]
    """Write the bits that change in the partial sums of each block of one sample to `counts`, int64 [block].

    `codes` are uint8 or uint16 [plane, code], channels last; `psums` are PsumBlocks.
    """
    channels, rows, weights, blocks, inputs = psums.channels, psums.rows, psums.weights, psums.blocks, psums.inputs
    operands = np.empty((len(codes), PIXELS, rows), weights.dtype)
    for b in range(len(blocks)):
        group, first, end, column, start = blocks[b]
        filled = operands[:, :, : end - first]
        for plane in range(len(codes)):
            for pixel in range(PIXELS):
                taps, values = inputs[start + pixel], filled[plane, pixel]
                _load_operands(codes[plane], psums.decoding, taps, channels, group * channels, first, values)
        block = weights[:, group, first:end, column : column + LANES]
        counts[b] = prefix_toggles(filled, block, psums.mask, 2 * (rows - (end - first)) - 1)


@kernel()
def _load_operands(codes, decoding, taps, channels, offset, first, values):  # type: ignore[no-untyped-def]
    """Load the operands of consecutive rows of the reduction, from row `first` on, of one output pixel.

    `codes` [code], `taps` int64 [tap]; fills `values` [row]. `offset` is the first channel of the group.
    """
    done = 0
    tap, channel = first // channels, first % channels
    while done < len(values):
        place, run = taps[tap], channels - channel
        tap += 1
        while done + run < len(values) and place >= 0 and taps[tap] == place + channel + run:  # contiguous codes
            tap, run = tap + 1, run + channels
        run = min(run, len(values) - done)
        if place < 0:
            values[done : done + run] = 0
        else:
            decode(codes, place + offset + channel, decoding, values, done, run)
        done, channel = done + run, 0


# Vector code of the functions above.


@intrinsic
def _popcount(typing_context, word):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.ctpop(arguments[0])

    return word(word), generate


@overload(popcount)
def _compile_popcount(word):  # type: ignore[no-untyped-def]
    return lambda word: _popcount(word)  # type: ignore[call-arg]


@overload(wire_bits)
def _compile_wire_bits(code, zero, mask):  # type: ignore[no-untyped-def]
    word = getattr(np, code.name)
    return lambda code, zero, mask: word(word(code - zero) & mask)


@intrinsic
def _pointer(typing_context, address):  # type: ignore[no-untyped-def]
    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return b.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@overload(borrow)
def _compile_borrow(array):  # type: ignore[no-untyped-def]
    return lambda array: carray(_pointer(array.ctypes.data), array.shape, array.dtype)  # type: ignore[call-arg]


def _decode_vector(narrow: int, wide: int) -> Any:
    """Return an intrinsic that decodes one vector of codes of `narrow` bits to values of `wide` bits.

    Its arguments are the addresses of codes and values, and (flip, unit, offset) of PsumBlocks.decoding.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        codes, values, *constants = arguments
        one = ir.IntType(wide)
        flip, unit, offset = (splat(b, b.trunc(c, one) if wide < 64 else c, LANES) for c in constants)
        code = b.zext(load(b, ir.VectorType(ir.IntType(narrow), LANES), codes), flip.type)
        store(b, b.sub(b.mul(b.xor(code, flip), unit), offset), values)
        return context.get_dummy_value()

    def vector(typing_context, codes, values, flip, unit, offset):  # type: ignore[no-untyped-def]
        return types.void(*[types.int64] * 5), generate

    return intrinsic(vector)


_decode_vectors = {(narrow, wide): _decode_vector(narrow, wide) for narrow in (8, 16) for wide in (32, 64)}


@overload(decode)
def _compile_decode(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
    vector = _decode_vectors[codes.dtype.bitwidth, values.dtype.bitwidth]

    def by_vectors(codes, at, decoding, values, to, count):  # type: ignore[no-untyped-def]
        flip, unit, offset = decoding[0], decoding[1], decoding[2]
        if count < LANES:
            for i in range(count):
                values[to + i] = unit * (i64(codes[at + i]) ^ flip) - offset
            return
        x, y = codes.ctypes.data + at * codes.itemsize, values.ctypes.data + to * values.itemsize
        for i in range(0, count - LANES, LANES):
            vector(x + i * codes.itemsize, y + i * values.itemsize, flip, unit, offset)
        last = count - LANES  # overlaps the vector before it
        vector(x + last * codes.itemsize, y + last * values.itemsize, flip, unit, offset)

    return by_vectors


def _prefix_toggles(bits: int) -> Any:
    """Return an intrinsic that counts the toggles of a block of int32 or int64 sums.

    Its arguments are operands and weights (Strided), rows, planes, mask and extra of `prefix_toggles`.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return _generate_block(b, bits, *arguments)

    def block(typing_context, operands, weights, rows, planes, mask, extra):  # type: ignore[no-untyped-def]
        return types.int64(operands, weights, *[types.int64] * 4), generate

    return intrinsic(block)


_block = {bits: _prefix_toggles(bits) for bits in (32, 64)}
_block_32, _block_64 = _block[32], _block[64]


@overload(prefix_toggles)
def _compile_prefix_toggles(operands, weights, mask, extra):  # type: ignore[no-untyped-def]
    wide = operands.dtype == types.int64

    def toggles_32(operands, weights, mask, extra):  # type: ignore[no-untyped-def]
        (x_plane, x_pixel, _), (w_plane, w_row, _) = operands.strides, weights.strides
        x, w = Strided(operands.ctypes.data, x_plane, x_pixel), Strided(weights.ctypes.data, w_plane, w_row)
        return _block_32(x, w, i64(weights.shape[1]), i64(len(weights)), mask, i64(extra))

    def toggles_64(operands, weights, mask, extra):  # type: ignore[no-untyped-def]
        (x_plane, x_pixel, _), (w_plane, w_row, _) = operands.strides, weights.strides
        x, w = Strided(operands.ctypes.data, x_plane, x_pixel), Strided(weights.ctypes.data, w_plane, w_row)
        return _block_64(x, w, i64(weights.shape[1]), i64(len(weights)), mask, i64(extra))

    return toggles_64 if wide else toggles_32


def _generate_block(
    b: ir.IRBuilder, bits: int, operands: Any, weights: Any, rows: Any, planes: Any, mask: Any, extra: Any
) -> Any:
    """Generate a loop over rows, and over planes; the sums of one row of PEs are in registers, one vector per pixel."""
    x_address, x_plane, x_pixel = (b.extract_value(operands, i) for i in range(3))
    w_address, w_plane, w_row = (b.extract_value(weights, i) for i in range(3))
    one = ir.IntType(bits)
    vector, bytes_each = ir.VectorType(one, LANES), constant(bits // 8)
    none = ir.Constant(vector, [0] * LANES)
    count = b.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i{bits}", (), ir.FunctionType(vector, [vector]))
    counted = splat(b, b.trunc(mask, one) if bits < 64 else mask, LANES)
    pixels = [b.mul(x_pixel, constant(p)) for p in range(PIXELS)]
    entry = b.block
    row_loop, plane_loop, row_end, done = (b.append_basic_block(name) for name in ("row", "plane", "row_end", "done"))
    b.branch(row_loop)

    b.position_at_end(row_loop)
    row, total = b.phi(i64_type), b.phi(vector)
    sums_above = [b.phi(vector) for _ in range(PIXELS)]
    x_row = b.add(x_address, b.mul(row, bytes_each))
    w_first = b.add(w_address, b.mul(row, w_row))
    b.branch(plane_loop)

    b.position_at_end(plane_loop)
    p = b.phi(i64_type)
    sums = [b.phi(vector) for _ in range(PIXELS)]
    w = load(b, vector, b.add(w_first, b.mul(p, w_plane)))
    x = b.add(x_row, b.mul(p, x_plane))
    added = [
        b.add(old, b.mul(splat(b, load(b, one, b.add(x, pixel)), LANES), w))
        for old, pixel in zip(sums, pixels, strict=True)
    ]
    p_next = b.add(p, constant(1))
    b.cbranch(b.icmp_signed("<", p_next, planes), plane_loop, row_end)

    b.position_at_end(row_end)
    distances = none
    for before, after in pairwise(added):
        distances = b.add(distances, b.call(count, [b.and_(b.xor(before, after), counted)]))
    total_next, row_next = b.add(total, distances), b.add(row, constant(1))
    b.cbranch(b.icmp_signed("<", row_next, rows), row_loop, done)

    for phi, start, begin, following, end in (
        (row, constant(0), entry, row_next, row_end),
        (total, none, entry, total_next, row_end),
        (p, constant(0), row_loop, p_next, plane_loop),
        *((above, none, entry, last, row_end) for above, last in zip(sums_above, added, strict=True)),
        *(
            (inner, above, row_loop, last, plane_loop)
            for inner, above, last in zip(sums, sums_above, added, strict=True)
        ),
    ):
        phi.add_incoming(start, begin)
        phi.add_incoming(following, end)

    b.position_at_end(done)
    return b.add(b.mul(_sum_of_lanes(b, total_next), constant(2)), b.mul(_sum_of_lanes(b, distances), extra))


def _sum_of_lanes(b: ir.IRBuilder, values: Any) -> Any:
    """Return the sum of all lanes as int64."""
    one = values.type.element
    kind = ir.FunctionType(one, [values.type])
    add = b.module.declare_intrinsic(f"llvm.vector.reduce.add.v{LANES}i{one.width}", (), kind)
    total = b.call(add, [values])
    return b.zext(total, i64_type) if one.width < 64 else total
