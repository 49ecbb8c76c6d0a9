"""What a layer's data toggles in a weight-stationary array, and what that costs.

The model, fitted to a gate-level simulation of plain PEs (45 nm, 1.1 V, before placement):

    E per PE and cycle = 8.67 fJ * flip-flops + k_pp * HD(a) * ones(w) + k_ps * (HD(psum in) + HD(psum out))

HD is the Hamming distance between what two consecutive cycles hold, `a` the activation register, `w`
the weight that a PE holds, and the psums enter from the PE above and leave to the one below. On the ten
operand distributions that it was fitted to, the model is 1.5 % off on average and 14 % at most (2.1 %
and 14 % on one left out); an energy table by bitwidth alone is 42 % off on real data. The errors are
against the gate-level simulation, not silicon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.engine.activation_capture import code_dtype
from hwsim.errors import BadInput
from hwsim.formats import Format, Kind, QTensor
from hwsim.kernels.buffer_pool import arenas
from hwsim.kernels.compile import JIT
from hwsim.kernels.machine import toggles as kernels
from hwsim.kernels.threads import on_threads
from hwsim.machine.activity.sampling import Blocks, Stream, choose_blocks, vector_stream, window_stream
from hwsim.machine.technology.tables import CLOCK_FJ_PER_FLIP_FLOP, rows
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op, Region
from hwsim.network.product import Product, as_product
from hwsim.rng import stream as random_stream

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Widths = tuple[int, int, int]
"""Bits of the weight, the activation and the partial sum of a PE."""

SAMPLES_EACH = 4
"""Fewer samples are done before another thread would be there."""

WIDE = 32
"""Partial sums of more bits are counted in 64-bit arithmetic."""


@dataclass(frozen=True, eq=False)
class Toggles:
    """What toggles in all PEs and cycles of a layer, int64 [sample] each.

    operand: bits of the activation register that change, times the ones of the weight; exact. psum:
    bits that change in the partial sums that enter and that leave, counted or, in larger layers,
    estimated from blocks of PEs and cycles. `psum_error` is the relative standard error of the mean of
    `psum` over the samples, 0.0 where it is exact. All samples are looked at in the same blocks, so
    that more samples do not make it smaller.
    """

    operand: Ints
    psum: Ints
    psum_error: float


@dataclass(frozen=True)
class Coefficients:
    """What toggles cost in one kind of plain PE, fJ at 45 nm and 1.1 V.

    k_pp_fj: a changing activation bit at a one of the weight; k_ps_fj: a changing bit of a partial
    sum, once where it enters and once where it leaves. `measured` is True for a row of the table.
    """

    k_pp_fj: float
    k_ps_fj: float
    measured: bool


@cache
def coefficients(w_bits: int, a_bits: int, psum_bits: int | None = None) -> Coefficients:
    """The coefficients of a PE of these widths; the partial sum has w + a + 8 bits where none is given.

    Rows of `activity_nangate45` where there is one. Elsewhere those of the row nearest in w * a, then
    in w and a, then in the partial sum. Leaving out each measured pair in turn, such a neighbour's
    coefficients give its energies with an error of 6 % on average and 25 % at most.

    >>> coefficients(8, 8)
    Coefficients(k_pp_fj=38.917, k_ps_fj=43.326, measured=True)
    >>> coefficients(6, 6).measured
    False
    """
    wanted = (w_bits, a_bits, psum_bits or w_bits + a_bits + 8)
    table = {tuple(int(row[column]) for column in ("wbits", "abits", "acc_bits")): row for row in _table()}
    nearest = min(table, key=lambda widths: _distance(widths, wanted))
    row = table[nearest]
    return Coefficients(float(row["k_pp_fJ"]), float(row["k_ps_fJ"]), nearest == wanted)


def _table() -> tuple[dict[str, str], ...]:
    return rows("activity_nangate45")


def _distance(widths: tuple[int, ...], wanted: Widths) -> tuple[float, float, int, Widths]:
    """How far a row is from what is wanted; of two that are as far the narrower weight comes first."""
    w, a = (math.log2(have / want) for have, want in zip(widths[:2], wanted[:2], strict=True))
    return abs(w + a), abs(w) + abs(a), abs(widths[2] - wanted[2]), (widths[0], widths[1], widths[2])


def activity_fj(coefficients: Coefficients, toggles: Toggles, pe_cycles: int | Ints, flip_flops: int) -> Floats:
    """Energy of a layer's array in fJ (45 nm, 1.1 V), float64 [sample]: clock, operands and partial sums.

    `pe_cycles` (one number, or int64 [sample]) are PEs times cycles in which they are clocked,
    `flip_flops` those of one PE.

    >>> idle = Toggles(np.zeros(1, np.int64), np.zeros(1, np.int64), 0.0)
    >>> activity_fj(coefficients(8, 8), idle, pe_cycles=1, flip_flops=40).tolist()
    [346.75]
    """
    clock = CLOCK_FJ_PER_FLIP_FLOP * flip_flops * pe_cycles
    energy: Floats = clock + coefficients.k_pp_fj * toggles.operand + coefficients.k_ps_fj * toggles.psum
    return energy


def count_toggles(
    network: Network,
    layer: Layer,
    codes: NDArray[Any],
    rows: int,
    widths: Widths | None = None,
    masks: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Toggles:
    """Toggles of a convolution or linear layer in a weight-stationary array with so many `rows`.

    `codes` [sample, *shape] are those of the layer's input, as `execute(..., keep=...)` hands them out.
    The array takes fold after fold. Row r of a fold sees the operands of output pixel after output
    pixel, zeros where they are padding, and zeros before the first and after the last one. The
    partial sum that leaves row r is the sum of the products down to it; rows of the array below those
    of the fold hold nothing and pass the sum on. Columns that hold no filter do nothing, so that their
    number does not matter. That the pixels may be cut into tiles is left out.

    What a register holds is the low bits, in two's complement, of the value that the PE multiplies; of
    odd, binary and codebook formats, the code itself. `widths` are those of the PE, beyond the
    layer's own where it is wider (values are extended by their sign); the layer's own and a partial sum
    of w + a + 8 bits where not given.

    With region precision `masks` are the layer's sensitive regions. A sensitive code meets the weight,
    another one, rounded to its low bits, the low weight; a step between two codes counts the ones of
    the weight where one of them is sensitive, else those of the low weight.

    `seed` chooses the blocks of larger layers: see `toggle_plan.choose_blocks`. They depend on nothing
    else but shapes and the layer's name: a sample's counts do not depend on the batch.
    Raises BadInput for a layer without weights, or for masks that are missing.
    """
    if layer.op not in (Op.CONV, Op.LINEAR) or layer.weight is None:
        raise BadInput(f"layer {layer.name!r}", str(layer.op), "a convolution or linear layer")
    if layer.region is not None and masks is None:
        raise BadInput(f"layer {layer.name!r} masks", None, "the sensitive regions of each sample")
    w_bits, a_bits = layer.weight.format.bits, network.formats[layer.inputs[0]].bits
    plan = _plan(network, layer, rows, widths or (w_bits, a_bits, w_bits + a_bits + 8), seed)
    counts = np.empty((len(codes), 1 + len(plan.blocks.places)), dtype=np.int64)
    with _operands(plan, layer, codes, masks) as (planes, wires, sensitive):
        word = wires.dtype.type
        _for_all_samples(
            kernels.array_toggles, kernels.share_of_toggles, counts, wires, sensitive, word(plan.wire.zero),
            word(plan.wire.mask), plan.entries, plan.groups, plan.ones, plan.low_ones, planes, plan.decoding,
            plan.where, plan.channels, plan.blocks.places, plan.weights, plan.psum_mask, rows,
        )  # fmt: skip
    return Toggles(counts[:, 0].copy(), *plan.blocks.estimate(counts[:, 1:]))


@dataclass(frozen=True, eq=False)
class _Wire:
    """How codes lie on the activation wires: the bits `mask` of code - `zero`, or by a table where these are more."""

    zero: int
    mask: int
    table: NDArray[np.uint16] | None


@dataclass(frozen=True, eq=False)
class _Plan:
    """All that does not depend on the data of one layer: what the kernels compare, and weights."""

    source: Format
    wire: _Wire
    decoding: Ints
    where: Ints
    channels: int
    entries: Ints
    groups: Ints
    ones: NDArray[Any]
    low_ones: NDArray[Any]
    blocks: Blocks
    weights: NDArray[Any]
    psum_mask: int
    decisions: Ints
    coarse: Ints


_plans: WeakKeyDictionary[Layer, dict[Any, _Plan]] = WeakKeyDictionary()


def _plan(network: Network, layer: Layer, rows: int, widths: Widths, seed: int) -> _Plan:
    plans = _plans.setdefault(layer, {})
    shape, source = network.shapes[layer.inputs[0]], network.formats[layer.inputs[0]]
    key = (shape, source, rows, widths, seed)
    if key not in plans:
        plans[key] = _make_plan(as_product(network, layer), layer, shape, source, rows, widths, seed)
    return plans[key]


def _make_plan(
    product: Product, layer: Layer, shape: tuple[int, ...], source: Format, rows: int, widths: Widths, seed: int
) -> _Plan:
    assert layer.weight is not None
    w_bits, a_bits, psum_bits = widths
    stream, all_channels = _stream(layer, shape)
    groups = layer.geometry.groups
    weights = [_by_group(layer.weight.values(), groups)]
    decisions = coarse = np.zeros(0, dtype=np.int64)
    low_ones: NDArray[Any] = np.zeros(0, dtype=np.int32)
    if layer.region is not None:
        low = layer.region.low_weight.astype(np.int64)
        shift = source.bits + layer.weight.format.bits - 2 * layer.region.low_bits
        weights.append(_by_group(low << shift, groups))
        low_format = Format(layer.region.low_bits, signed=True)
        decisions, coarse = _decisions(layer.region, shape), _coarse(layer.region, source.bits)
        low_ones = stream.pairs.weights(_ones_per_tap(QTensor(low, low_format), low_format.bits, groups))
    entries, runs = stream.pairs.in_codes(all_channels)
    word = np.int32 if psum_bits <= WIDE else np.int64
    padded = np.pad(np.stack(weights), ((0, 0), (0, 0), (0, 0), (0, -product.filters % kernels.LANES)))
    return _Plan(
        source=source,
        wire=_wire(source, a_bits),
        decoding=np.array(_decoding(source), dtype=np.int64),
        where=np.where(stream.pixels < 0, -1, stream.pixels * all_channels),
        channels=all_channels // groups,
        entries=entries,
        groups=runs,
        ones=stream.pairs.weights(_ones_per_tap(layer.weight, w_bits, groups)),
        low_ones=low_ones,
        blocks=choose_blocks(stream, product, rows, random_stream(seed, "toggles", layer.name)),
        weights=np.ascontiguousarray(padded.astype(word)),
        psum_mask=(1 << psum_bits) - 1,
        decisions=decisions,
        coarse=coarse,
    )


def _stream(layer: Layer, shape: tuple[int, ...]) -> tuple[Stream, int]:
    """The stream of input pixels, and the codes of each."""
    if layer.op is Op.CONV:
        channels, height, width = shape
        return window_stream(height, width, layer.geometry), channels
    return vector_stream(math.prod(shape[:-1])), shape[-1]


def _by_group(weight: Ints, groups: int) -> Ints:
    """Weights [filter, channel of group, ...] as [group, reduction, filter of group]; channels run fastest."""
    filters = len(weight) // groups
    taps = weight.reshape(groups, filters, weight.shape[1], -1)
    return taps.transpose(0, 3, 2, 1).reshape(groups, -1, filters)


def _ones_per_tap(weight: QTensor, bits: int, groups: int) -> Ints:
    """Ones of all weights that a code meets, int64 [tap, channel]; `bits` are those of the PE's register."""
    codes = weight.codes.astype(np.int64)
    wires = codes & ((1 << (bits if weight.format.kind is Kind.UNIFORM else weight.format.bits)) - 1)
    counts = np.bitwise_count(wires).astype(np.int64)
    taps: Ints = counts.reshape(groups, -1, counts.shape[1], math.prod(counts.shape[2:])).sum(axis=1)
    return taps.transpose(2, 0, 1).reshape(taps.shape[2], -1)  # [tap, group and its channel]


def _wire(source: Format, bits: int) -> _Wire:
    """The activation register of `bits` for codes of a format."""
    stored = code_dtype(source).itemsize * 8
    if source.kind is not Kind.UNIFORM:
        return _Wire(0, (1 << source.bits) - 1, None)
    if bits <= stored:
        return _Wire(source.zero_point & ((1 << stored) - 1), (1 << bits) - 1, None)
    values = source.decode(np.arange(1 << stored, dtype=np.uint8).view(code_dtype(source)))
    return _Wire(0, (1 << bits) - 1, (values & ((1 << bits) - 1)).astype(np.uint16))


def _decoding(source: Format) -> tuple[int, int, int]:
    """(flip, unit, offset): a stored code c, unsigned, stands for unit * (c ^ flip) - offset."""
    if source.kind is not Kind.UNIFORM:
        return 0, 2, source.qmax
    flip = 1 << (code_dtype(source).itemsize * 8 - 1) if source.signed else 0
    return flip, 1, flip + source.zero_point


@contextmanager
def _operands(
    plan: _Plan, layer: Layer, codes: NDArray[Any], masks: NDArray[np.bool_] | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Codes as unsigned words, channels last: what is multiplied, what the wires carry, and what is sensitive.

    [plane, sample, code], [sample, code] and [sample, code]: a layer with regions has its sensitive and
    its other codes in planes of their own, any other layer one plane and nothing sensitive.
    """
    narrow = codes.astype(code_dtype(plan.source), copy=False)
    last = np.ascontiguousarray(narrow.transpose(0, 2, 3, 1) if layer.op is Op.CONV else narrow)
    words = last.reshape(len(last), math.prod(last.shape[1:])).view(f"u{last.itemsize}")
    if layer.region is None or masks is None:
        wires = words if plan.wire.table is None else plan.wire.table[words]
        yield words[None], wires, wires[:0]
        return
    flat = np.ascontiguousarray(masks.reshape(len(masks), math.prod(masks.shape[1:])))
    with arenas(1, 4 * words.nbytes) as (room,):
        split = room.view(words.dtype).reshape(4, *words.shape)
        planes, wires, sensitive = split[:2], split[2], split[3]
        _for_all_samples(
            kernels.split_codes, kernels.share_of_codes, words, flat, plan.decisions, plan.coarse.astype(words.dtype),
            planes, wires, sensitive,
        )  # fmt: skip
        yield planes, wires, sensitive


def _for_all_samples(alone: Callable[..., None], share: Callable[..., None], first: NDArray[Any], *rest: Any) -> None:
    """Run a kernel over all rows of `first` on the threads of the engine, or here where nothing is compiled."""
    if not JIT:
        alone(0, len(first), first, *rest)
        return
    workers = max(1, min(numba.get_num_threads(), len(first) // SAMPLES_EACH))
    on_threads(lambda worker, call: share(worker, workers, first, *rest, *call), workers)


def _decisions(region: Region, shape: tuple[int, ...]) -> Ints:
    """Which entry of a sample's flat mask decides on a code: int64 [pixel, channel], or [pixel, 1] for all channels."""
    channels, height, width = shape
    down, across = -(-height // region.height), -(-width // region.width)
    rows, columns = np.arange(height) // region.height, np.arange(width) // region.width
    pixels = (rows[:, None] * across + columns).reshape(-1, 1)
    return pixels + np.arange(channels if region.per_channel else 1) * (down * across)


def _coarse(region: Region, bits: int) -> Ints:
    """What each code of `bits` is rounded to where it is not sensitive."""
    codes = reference.round_shift(np.arange(1 << bits), bits - region.low_bits, region.rounding)
    coarse: Ints = np.clip(codes, 0, (1 << region.low_bits) - 1)
    return coarse
