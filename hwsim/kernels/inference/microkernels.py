"""Micro-kernels: sums of products of unsigned bytes with signed bytes for a register block of pixels and channels.

A register block contains the int32 sums of 4, 8 or 16 output pixels x 16 or 32 channels in vector
registers during the whole reduction. The reduction is a list of segments: runs of bytes that are
contiguous in the activation map, read one word (four bytes) at a time. A convolution over a
channels-last map is such a reduction without any copy: its segments are the kernel rows, and the next
pixel reads the same segments `stride * channels` bytes later. Every sum is exact modulo 2^32.

One generator of LLVM code makes each micro-kernel with one of these multiply-adds:

vnni      the AVX-512 instruction vpdpbusd: 64 products per instruction, no saturation inside
avx2      vpmaddwd on bytes widened to int16: 16 products per instruction
generic   plain vector code, which LLVM lowers for any CPU
xnor      bits instead of bytes: products of -1 and +1, 32 channels per word, counted by xor and popcount

The arguments of all functions are addresses and distances, int64, in the tuples `Reduction`,
`Requantization`, `Target`, `Addend` and `PlaneSums`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.compile import compiles_for
from hwsim.kernels.llvm import clip, constant, i8, i16, i32, i64, load, splat, store

LANES = 16
"""Channels per vector of sums."""

PIXELS = 4
"""Output pixels per pixel group: equally spaced in memory; the groups of a block have any addresses."""

ROW = ir.VectorType(i32, LANES)

HAS_VNNI = compiles_for("avx512vnni")
HAS_AVX2 = compiles_for("avx2")

KERNELS = tuple(name for name, able in (("vnni", HAS_VNNI), ("avx2", HAS_AVX2), ("generic", True)) if able)
"""The multiply-adds for this CPU, fastest first."""


class Reduction(NamedTuple):
    """Operands of the sums of one register block.

    Attributes
    ----------
    x : address to which `offsets` and segment offsets are added
    offsets : address of int64 [group], byte offset of the first pixel of each pixel group
    stride : bytes between the pixels of a group
    segments : address of int64 [segment_count, 2] of (byte offset, words)
    segment_count : number of segments
    weights : address of int8 [word, channel, 4]
    """

    x: int
    offsets: int
    stride: int
    segments: int
    segment_count: int
    weights: int


class Requantization(NamedTuple):
    """Addresses of the constants that turn sums into codes.

    Attributes
    ----------
    bias : int32 [channel]; int64 in `requantize_planes`
    multiplier : int32 [channel]; int64 in `requantize_planes`
    half : int64 [channel], added before the shift; the even channels of each vector precede the odd ones,
        except in `requantize_planes`
    shift : int64 [channel], in the order of `half`
    scalars : int64, (zero, low, high) with bounds before zero is added. A residual add appends
        (multiplier of the sums' codes, multiplier of the other operand, constant, shift less 16, zero,
        low, high). `requantize_planes` appends (spare bits, smallest, largest): the number of the 64 bits
        that a wrapping accumulator lacks, and the bounds of a saturating accumulator
    """

    bias: int
    multiplier: int
    half: int
    shift: int
    scalars: int


class Target(NamedTuple):
    """Destination of the codes or sums of one register block.

    Attributes
    ----------
    base : address to which `offsets` are added
    offsets : address of int64 [group], offset of the first channel of each group's first pixel
    stride : distance between the pixels of a group; offsets and stride are in elements of the result
    filters : number of channels that are written
    """

    base: int
    offsets: int
    stride: int
    filters: int


class Addend(NamedTuple):
    """Second operand of a residual add: codes of one byte, addressed as in `Target`."""

    base: int
    offsets: int
    stride: int


class PlaneSums(NamedTuple):
    """int32 sums of byte planes of one vector of channels, for one pixel group.

    Attributes
    ----------
    base : address of the first plane
    stride : bytes between pixels
    plane : bytes between planes; four planes count 1, 256, 256 and 65536, unused planes are zero
    sign : address of int64 [LANES]
    """

    base: int
    stride: int
    plane: int
    sign: int


class _Vnni:
    """Multiply-add of four products per lane by one instruction."""

    def __init__(self, b: ir.IRBuilder) -> None:
        bytes64 = ir.VectorType(i8, 64)
        kind = ir.FunctionType(ROW, [ROW, bytes64, bytes64])
        self.b, self.bytes64 = b, bytes64
        self.instruction = b.module.declare_intrinsic("llvm.x86.avx512.vpdpbusd.512", (), kind)

    def weights(self, raw: Any) -> Any:
        return raw

    def activations(self, word: Any) -> Any:
        return self.b.bitcast(splat(self.b, word, LANES), self.bytes64)

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        return self.b.call(self.instruction, [acc, x, w])


class _Avx2:
    """Multiply-add of int16 pairs, twice, in halves of eight lanes; the sums are one vector of 16 lanes."""

    def __init__(self, b: ir.IRBuilder) -> None:
        half, pairs = ir.VectorType(i32, 8), ir.VectorType(i16, 16)
        kind = ir.FunctionType(half, [pairs, pairs])
        self.b, self.pairs = b, pairs
        self.instruction = b.module.declare_intrinsic("llvm.x86.avx2.pmadd.wd", (), kind)

    def weights(self, raw: Any) -> Any:
        """Return bytes [channel, 4] as int16 pairs: two halves of 8 channels for each of the two pairs of terms."""
        wide = self.b.sext(raw, ir.VectorType(i16, 64))
        undefined = ir.Constant(wide.type, ir.Undefined)
        parts = []
        for pair in range(2):
            for half in range(2):
                picks = [
                    4 * channel + 2 * pair + term for channel in range(8 * half, 8 * half + 8) for term in range(2)
                ]
                mask = ir.Constant(ir.VectorType(i32, 16), picks)
                parts.append(self.b.shuffle_vector(wide, undefined, mask))
        return parts

    def activations(self, word: Any) -> Any:
        four = self.b.zext(self.b.bitcast(word, ir.VectorType(i8, 4)), ir.VectorType(i16, 4))
        two = self.b.bitcast(four, ir.VectorType(i32, 2))
        words = [self.b.extract_element(two, ir.Constant(i32, pair)) for pair in range(2)]
        return [self.b.bitcast(splat(self.b, w, 8), self.pairs) for w in words]

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        b, undefined = self.b, ir.Constant(ROW, ir.Undefined)
        halves = []
        for half in range(2):
            mask = ir.Constant(ir.VectorType(i32, 8), list(range(8 * half, 8 * half + 8)))
            total = b.shuffle_vector(acc, undefined, mask)
            for pair in range(2):
                total = b.add(total, b.call(self.instruction, [x[pair], w[2 * pair + half]]))
            halves.append(total)
        return b.shuffle_vector(*halves, ir.Constant(ir.VectorType(i32, LANES), list(range(LANES))))


class _Generic:
    """Multiply-add of four products per lane in plain vector arithmetic of int32."""

    def __init__(self, b: ir.IRBuilder) -> None:
        self.b = b

    def weights(self, raw: Any) -> Any:
        undefined = ir.Constant(raw.type, ir.Undefined)
        parts = []
        for term in range(4):
            mask = ir.Constant(ROW, [4 * channel + term for channel in range(LANES)])
            parts.append(self.b.sext(self.b.shuffle_vector(raw, undefined, mask), ROW))
        return parts

    def activations(self, word: Any) -> Any:
        b, low = self.b, ir.Constant(i32, 255)
        return [splat(b, b.and_(b.lshr(word, ir.Constant(i32, 8 * term)), low), LANES) for term in range(4)]

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        for term in range(4):
            acc = self.b.add(acc, self.b.mul(x[term], w[term]))
        return acc


class _Xnor:
    """Count of differing bits in words of 32 channels, each bit for -1 or +1.

    A product is -1 where the bits differ and +1 where they are equal, so that the sum of K products is
    K - 2 * count. The total is -2 * count; K is part of the bias.
    """

    def __init__(self, b: ir.IRBuilder) -> None:
        self.b = b
        self.instruction = b.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i32", (), ir.FunctionType(ROW, [ROW]))

    def weights(self, raw: Any) -> Any:
        return self.b.bitcast(raw, ROW)

    def activations(self, word: Any) -> Any:
        return splat(self.b, word, LANES)

    def add(self, acc: Any, x: Any, w: Any) -> Any:
        return self.b.add(acc, self.b.call(self.instruction, [self.b.xor(x, w)]))

    def total(self, acc: Any) -> Any:
        return self.b.sub(ir.Constant(ROW, [0] * LANES), self.b.shl(acc, ir.Constant(ROW, [1] * LANES)))


_INSTRUCTIONS: dict[str, Callable[[ir.IRBuilder], Any]] = {
    "vnni": _Vnni,
    "avx2": _Avx2,
    "generic": _Generic,
    "xnor": _Xnor,
}


class _ByteEpilogue:
    """Epilogue that requantizes half up to one byte per code, and optionally applies a residual add.

    For multipliers of at most 1 only, so that 32 bits suffice after the shift. Products of even and odd
    channels are computed separately, because a 64-bit lane covers two 32-bit lanes.
    """

    def __init__(self, b: ir.IRBuilder, requantization: Any, target: Any, addend: Any = None) -> None:
        self.b = b
        self.bias, self.multiplier, self.half, self.shift, scalars = fields(b, requantization)
        self.out, self.outs, self.out_stride, self.filters = fields(b, target)
        self.addend = None if addend is None else fields(b, addend)
        count = 3 if addend is None else 10
        self.scalars = [load(b, i64, b.add(scalars, constant(8 * i)), 8) for i in range(count)]

    def vector(self, v: int) -> None:
        """Load the constants of vector `v` of the block's channels."""
        b = self.b
        at32, at64, pairs = constant(4 * LANES * v), constant(8 * LANES * v), ir.VectorType(i64, LANES // 2)
        self.bias_v = load(b, ROW, b.add(self.bias, at32))
        self.multipliers = self._halves(load(b, ROW, b.add(self.multiplier, at32)))
        self.halves, self.shifts = (
            [load(b, pairs, b.add(b.add(place, at64), constant(4 * LANES * part))) for part in range(2)]
            for place in (self.half, self.shift)
        )
        self.first = constant(LANES * v)
        self.count = b.sub(self.filters, self.first)

    def pixel(self, total: Any, group: int, pixel: int) -> None:
        """Requantize the sums of one pixel and store its codes."""
        b = self.b
        products = [b.mul(x, m) for x, m in zip(self._halves(b.add(total, self.bias_v)), self.multipliers, strict=True)]
        even, odd = (b.ashr(b.add(p, h), s) for p, h, s in zip(products, self.halves, self.shifts, strict=True))
        low_half = ir.Constant(even.type, [(1 << 32) - 1] * (LANES // 2))
        joined = b.or_(b.and_(even, low_half), b.shl(odd, ir.Constant(even.type, [32] * (LANES // 2))))
        code = self._clip(b.bitcast(joined, ROW), *self.scalars[:3])
        if self.addend is not None:
            other, others, other_stride = self.addend
            code = self._add(code, self._address(other, others, other_stride, group, pixel))
        address = self._address(self.out, self.outs, self.out_stride, group, pixel)
        store_lanes(b, b.trunc(code, ir.VectorType(i8, LANES)), address, self.count)

    def _halves(self, vector: Any) -> list[Any]:
        """Return the even and the odd 32-bit lanes, each as 64-bit lanes."""
        b = self.b
        pairs = b.bitcast(vector, ir.VectorType(i64, LANES // 2))
        by = ir.Constant(pairs.type, [32] * (LANES // 2))
        return [b.ashr(b.shl(pairs, by), by), b.ashr(pairs, by)]

    def _clip(self, value: Any, zero: Any, low: Any, high: Any) -> Any:
        """Clip to low and high, then add zero: no lane overflows in this order."""
        b = self.b
        zero, low, high = (splat(b, b.trunc(scalar, i32), LANES) for scalar in (zero, low, high))
        return b.add(clip(b, value, low, high), zero)

    def _add(self, code: Any, address: Any) -> Any:
        """Return the code of a residual add, computed in two digits of 16 bits so that int32 suffices."""
        b = self.b
        other = b.zext(load(b, ir.VectorType(i8, LANES), address), ROW)
        low, high = ir.Constant(i64, 0xFFFF), ir.Constant(i64, 16)
        code_multiplier, other_multiplier, bias, shift = self.scalars[3:7]

        def digits(scalar: Any) -> list[Any]:
            return [splat(b, b.trunc(part, i32), LANES) for part in (b.and_(scalar, low), b.ashr(scalar, high))]

        lower, upper = (
            b.add(b.add(b.mul(code, m), b.mul(other, t)), c)
            for m, t, c in zip(digits(code_multiplier), digits(other_multiplier), digits(bias), strict=True)
        )
        total = b.add(upper, b.lshr(lower, ir.Constant(ROW, [16] * LANES)))
        return self._clip(b.ashr(total, splat(b, b.trunc(shift, i32), LANES)), *self.scalars[7:10])

    def _address(self, base: Any, offsets: Any, stride: Any, group: int, pixel: int) -> Any:
        b = self.b
        start = b.add(base, load(b, i64, b.add(offsets, constant(8 * group)), 8))
        return b.add(b.add(start, self.first), b.mul(stride, constant(pixel)))


def fields(b: ir.IRBuilder, record: Any) -> list[Any]:
    """Return the fields of a tuple argument as LLVM values."""
    return [b.extract_value(record, i) for i in range(len(record.type.elements))]


def store_lanes(b: ir.IRBuilder, values: Any, address: Any, count: Any) -> None:
    """Store the first `count` lanes of a vector, all lanes where `count` is at least LANES."""
    with b.if_else(b.icmp_signed(">=", count, constant(LANES))) as (all_lanes, some_lanes):  # masked stores are slow
        with all_lanes:
            store(b, values, address)
        with some_lanes:
            pointer, bits = values.type.as_pointer(), values.type.element.width
            lanes = ir.Constant(ir.VectorType(i64, LANES), list(range(LANES)))
            mask = b.icmp_signed("<", lanes, splat(b, count, LANES))
            kind = ir.FunctionType(ir.VoidType(), [values.type, pointer, i32, mask.type])
            write = b.module.declare_intrinsic(f"llvm.masked.store.v{LANES}i{bits}.p0", (), kind)
            b.call(write, [values, b.inttoptr(address, pointer), ir.Constant(i32, 1), mask])


def _accumulate(b: ir.IRBuilder, instruction: Any, groups: int, vectors: int, reduction: Any) -> list[Any]:
    """Return the sums [pixel, vector] of a block, in registers: a loop over segments and over their words."""
    x, offsets, stride, segments, count, weights = fields(b, reduction)
    raw = ir.VectorType(i8, 4 * LANES)
    steps = [constant(0), stride, b.mul(stride, constant(2)), b.mul(stride, constant(3))]
    bases = [b.add(x, load(b, i64, b.add(offsets, constant(8 * g)), 8)) for g in range(groups)]
    size = groups * PIXELS * vectors

    entry = b.block
    segment, word_loop, segment_end, done = (
        b.append_basic_block(label) for label in ("segment", "word", "segment_end", "done")
    )
    b.branch(segment)

    b.position_at_end(segment)
    s, w_segment = b.phi(i64), b.phi(i64)
    acc_segment = [b.phi(ROW) for _ in range(size)]
    place = b.add(segments, b.mul(s, constant(16)))
    offset, words = load(b, i64, place, 8), load(b, i64, b.add(place, constant(8)), 8)
    starts = [b.add(base, offset) for base in bases]
    b.branch(word_loop)

    b.position_at_end(word_loop)
    k, w_address = b.phi(i64), b.phi(i64)
    acc = [b.phi(ROW) for _ in range(size)]
    w = [instruction.weights(load(b, raw, b.add(w_address, constant(4 * LANES * v)), 64)) for v in range(vectors)]
    at = b.mul(k, constant(4))
    new = []
    for pixel in range(groups * PIXELS):
        address = b.add(b.add(starts[pixel // PIXELS], at), steps[pixel % PIXELS])
        activations = instruction.activations(load(b, i32, address))
        new += [instruction.add(acc[pixel * vectors + v], activations, w[v]) for v in range(vectors)]
    k_next, w_next = b.add(k, constant(1)), b.add(w_address, constant(4 * LANES * vectors))
    b.cbranch(b.icmp_signed("<", k_next, words), word_loop, segment_end)

    b.position_at_end(segment_end)
    s_next = b.add(s, constant(1))
    b.cbranch(b.icmp_signed("<", s_next, count), segment, done)

    for phi, start, begin, following, end in (
        (s, constant(0), entry, s_next, segment_end),
        (w_segment, weights, entry, w_next, segment_end),
        (k, constant(0), segment, k_next, word_loop),
        (w_address, w_segment, segment, w_next, word_loop),
    ):
        phi.add_incoming(start, begin)
        phi.add_incoming(following, end)
    for outer, inner, last in zip(acc_segment, acc, new, strict=True):
        outer.add_incoming(ir.Constant(ROW, [0] * LANES), entry)
        outer.add_incoming(last, segment_end)
        inner.add_incoming(outer, segment)
        inner.add_incoming(last, word_loop)
    b.position_at_end(done)
    return [instruction.total(last) for last in new] if isinstance(instruction, _Xnor) else new


def sum_microkernel(name: str, groups: int, vectors: int) -> Any:
    """Return the micro-kernel that stores its sums: microkernel(reduction, sums).

    Its block has `groups` x PIXELS pixels and `vectors` x LANES channels; `name` is one of KERNELS or
    "xnor". `sums` is the address of int32 [group, pixel, channel].
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        reduction, address = arguments
        for place, total in enumerate(_accumulate(b, _INSTRUCTIONS[name](b), groups, vectors, reduction)):
            store(b, total, b.add(address, constant(4 * LANES * place)))
        return context.get_dummy_value()

    def microkernel(typing_context, reduction, sums):  # type: ignore[no-untyped-def]
        return types.void(reduction, types.int64), generate

    return intrinsic(microkernel)


def int32_microkernel(name: str, groups: int, vectors: int) -> Any:
    """Return the micro-kernel that adds an int32 bias and stores int32: microkernel(reduction, bias, target).

    `bias` is the address of int32 [channel]; offsets and stride of the target count int32.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        reduction, bias, target = arguments
        sums = _accumulate(b, _INSTRUCTIONS[name](b), groups, vectors, reduction)
        out, outs, out_stride, filters = fields(b, target)
        stride = b.mul(out_stride, constant(4))
        for v in range(vectors):
            first = constant(LANES * v)
            with b.if_then(b.icmp_signed(">", filters, first)):
                added = load(b, ROW, b.add(bias, constant(4 * LANES * v)))
                for pixel, total in enumerate(sums[v::vectors]):
                    start = load(b, i64, b.add(outs, constant(8 * (pixel // PIXELS))), 8)
                    address = b.add(out, b.mul(b.add(start, first), constant(4)))
                    address = b.add(address, b.mul(stride, constant(pixel % PIXELS)))
                    store_lanes(b, b.add(total, added), address, b.sub(filters, first))
        return context.get_dummy_value()

    def microkernel(typing_context, reduction, bias, target):  # type: ignore[no-untyped-def]
        return types.void(reduction, types.int64, target), generate

    return intrinsic(microkernel)


def byte_microkernel(name: str, groups: int, vectors: int) -> Any:
    """Return the micro-kernel that stores codes of one byte, rounded half up.

    Call: microkernel(reduction, requantization, target).
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        reduction, requantization, target = arguments
        sums = _accumulate(b, _INSTRUCTIONS[name](b), groups, vectors, reduction)
        _apply_epilogue(b, sums, vectors, _ByteEpilogue(b, requantization, target))
        return context.get_dummy_value()

    def microkernel(typing_context, reduction, requantization, target):  # type: ignore[no-untyped-def]
        return types.void(reduction, requantization, target), generate

    return intrinsic(microkernel)


def byte_add_microkernel(name: str, groups: int, vectors: int) -> Any:
    """Return the micro-kernel of `byte_microkernel` followed by a residual add.

    Call: microkernel(reduction, requantization, target, addend).
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        reduction, requantization, target, addend = arguments
        sums = _accumulate(b, _INSTRUCTIONS[name](b), groups, vectors, reduction)
        _apply_epilogue(b, sums, vectors, _ByteEpilogue(b, requantization, target, addend))
        return context.get_dummy_value()

    def microkernel(typing_context, reduction, requantization, target, addend):  # type: ignore[no-untyped-def]
        return types.void(reduction, requantization, target, addend), generate

    return intrinsic(microkernel)


def _apply_epilogue(b: ir.IRBuilder, sums: list[Any], vectors: int, epilogue: _ByteEpilogue) -> None:
    """Apply an epilogue to the sums [pixel, vector] of a block, vector by vector, as each has its own constants."""
    for v in range(vectors):
        with b.if_then(b.icmp_signed(">", epilogue.filters, constant(LANES * v))):
            epilogue.vector(v)
            for pixel, total in enumerate(sums[v::vectors]):
                epilogue.pixel(total, pixel // PIXELS, pixel % PIXELS)


@intrinsic
def requantize_vector(typing_context, sums, stride, requantization, target):  # type: ignore[no-untyped-def]
    """Apply the epilogue of `byte_microkernel` to one pixel group and one vector of channels.

    `sums` is the address of int32 [LANES] of the first pixel, `stride` the bytes between pixels.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums, stride, requantization, target = arguments
        epilogue = _ByteEpilogue(b, requantization, target)
        epilogue.vector(0)
        for pixel in range(PIXELS):
            epilogue.pixel(load(b, ROW, b.add(sums, b.mul(stride, constant(pixel)))), 0, pixel)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, requantization, target), generate


@intrinsic
def requantize_planes(typing_context, sums, requantization, target, high_byte):  # type: ignore[no-untyped-def]
    """Join the sums of byte planes, requantize half up in 64 bits, and store codes of one or two bytes.

    For one pixel group and one vector of channels. `sums` are PlaneSums. The target has one group. High
    bytes are stored `high_byte` bytes after the low bytes, unless `high_byte` is 0.
    """
    wide, narrow = ir.VectorType(i64, LANES), ir.VectorType(i8, LANES)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums, requantization, target, high_byte = arguments
        base, stride, plane, sign_address = fields(b, sums)
        *addresses, scalars = fields(b, requantization)
        out, outs, out_stride, filters = fields(b, target)
        sign, bias, multiplier, half, shift = (load(b, wide, address) for address in (sign_address, *addresses))
        zero, low, high, spare, smallest, largest = (
            splat(b, load(b, i64, b.add(scalars, constant(8 * i)), 8), LANES) for i in range(6)
        )
        out = b.add(out, load(b, i64, outs, 8))
        for pixel in range(PIXELS):
            at = b.add(base, b.mul(stride, constant(pixel)))
            parts = [b.sext(load(b, ROW, b.add(at, b.mul(plane, constant(p)))), wide) for p in range(4)]
            total = parts[0]
            for part, bits in zip(parts[1:], (8, 8, 16), strict=True):
                total = b.add(total, b.shl(part, ir.Constant(wide, [bits] * LANES)))
            total = b.add(b.mul(total, sign), bias)
            total = clip(b, b.ashr(b.shl(total, spare), spare), smallest, largest)
            code = b.ashr(b.add(b.mul(total, multiplier), half), shift)
            code = b.add(clip(b, code, low, high), zero)
            address = b.add(out, b.mul(out_stride, constant(pixel)))
            store_lanes(b, b.trunc(code, narrow), address, filters)
            with b.if_then(b.icmp_signed("!=", high_byte, constant(0))):
                upper = b.trunc(b.lshr(code, ir.Constant(wide, [8] * LANES)), narrow)
                store_lanes(b, upper, b.add(address, high_byte), filters)
        return context.get_dummy_value()

    return types.void(sums, requantization, target, types.int64), generate


@intrinsic
def pack_word(typing_context, x):  # type: ignore[no-untyped-def]
    """Return the 32 bytes at address `x` as bits of an int64: 1 where a byte is not 0."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        bytes32 = ir.VectorType(i8, 32)
        differs = b.icmp_unsigned("!=", load(b, bytes32, arguments[0]), ir.Constant(bytes32, [0] * 32))
        return b.zext(b.bitcast(differs, i32), i64)

    return types.int64(types.int64), generate
