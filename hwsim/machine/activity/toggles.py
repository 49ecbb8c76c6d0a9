"""Switching activity of a layer in a weight-stationary array, and its energy.

The model, fitted to a gate-level simulation of plain PEs (45 nm, 1.1 V, before placement):

    E per PE and cycle = 8.67 fJ * flip-flops + k_pp * HD(a) * ones(w) + k_ps * (HD(psum in) + HD(psum out))

HD is the Hamming distance between the contents of a register in two consecutive cycles, `a` the activation register,
`w` the weight of the PE; partial sums enter from the PE above and leave to the PE below. On the ten
operand distributions of the fit, the model is 1.5 % off on average and 14 % at most (2.1 %
and 14 % on a distribution that was left out). An energy table by bitwidth alone is 42 % off on real data. The errors
are against the gate-level simulation, not silicon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.arithmetic import ceil_div
from hwsim.cache import cached, per_object
from hwsim.engine.activation_capture import code_dtype
from hwsim.errors import BadInput
from hwsim.formats import Format, Kind, QTensor
from hwsim.kernels.barrier import CallSlots
from hwsim.kernels.buffer_pool import BUFFERS
from hwsim.kernels.compile import JIT, for_kernel
from hwsim.kernels.machine import toggles as kernels
from hwsim.kernels.threads import run_on_threads
from hwsim.kernels.time_slices import time_slices
from hwsim.machine.activity.sampling import (
    DEFAULT_BUDGET,
    PixelSequence,
    SampledBlocks,
    SamplingBudget,
    conv_sequence,
    linear_sequence,
    sample_blocks,
)
from hwsim.machine.technology.provenance import Row, built_in_table
from hwsim.machine.technology.tables import CLOCK_FJ_PER_FLIP_FLOP, plain_psum_bits
from hwsim.network.graph import Network
from hwsim.network.layer import Layer, Op, Region
from hwsim.network.product import Product, as_product
from hwsim.rng import stream as random_stream

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Widths = tuple[int, int, int]
"""Bits of the weight, the activation and the partial sum of a PE."""

MIN_SAMPLES_PER_THREAD = 4
"""Samples below which another thread costs more time than it saves."""

MAX_INT32_PSUM_BITS = 32
"""Wider partial sums are counted in 64-bit arithmetic."""


@dataclass(frozen=True, eq=False)
class Toggles:
    """Toggled bits in all PEs and cycles of a layer.

    Attributes
    ----------
    operand : int64 [sample]; changed bits of the activation register times ones of the weight, exact
    psum : int64 [sample]; changed bits of the partial sums that enter and leave, counted or, in large layers,
        estimated from blocks of PEs and cycles
    psum_error : relative standard error of the mean of `psum` over the samples, 0.0 where it is exact; all samples
        use the same blocks, so more samples do not reduce it
    """

    operand: Ints
    psum: Ints
    psum_error: float


@dataclass(frozen=True)
class Coefficients:
    """Energy per toggle in one plain PE, at 45 nm and 1.1 V.

    Attributes
    ----------
    k_pp_fj : energy of a changed activation bit at a one of the weight
    k_ps_fj : energy of a changed bit of a partial sum, once where it enters and once where it leaves
    measured : True for a row of the table
    """

    k_pp_fj: float
    k_ps_fj: float
    measured: bool


@cached(1024)
def coefficients(w_bits: int, a_bits: int, psum_bits: int | None = None) -> Coefficients:
    """Return the coefficients of a PE of these widths, of `activity_nangate45`; default partial sum: w + a + 8 bits.

    >>> coefficients(8, 8)
    Coefficients(k_pp_fj=38.917, k_ps_fj=43.326, measured=True)
    >>> coefficients(6, 6).measured
    False
    """
    return nearest_coefficients(built_in_table("activity_nangate45"), w_bits, a_bits, psum_bits)


def nearest_coefficients(table: Sequence[Row], w_bits: int, a_bits: int, psum_bits: int | None = None) -> Coefficients:
    """Return the coefficients of the row nearest to these widths in w * a, then in w and a, then in the partial sum.

    With each measured pair of widths left out in turn, the coefficients of the nearest row give its energies with an
    error of 6 % on average and 25 % at most.
    """
    wanted = (w_bits, a_bits, psum_bits or plain_psum_bits(w_bits, a_bits))
    by_widths = {tuple(int(row[column]) for column in ("wbits", "abits", "acc_bits")): row for row in table}
    nearest = min(by_widths, key=lambda widths: _distance(widths, wanted))
    row = by_widths[nearest]
    return Coefficients(float(row["k_pp_fJ"]), float(row["k_ps_fJ"]), nearest == wanted)


def _distance(widths: tuple[int, ...], wanted: Widths) -> tuple[float, float, int, Widths]:
    """Return the sort key of a row by its distance from `wanted`; at equal distances the narrower weight is first."""
    w, a = (math.log2(have / want) for have, want in zip(widths[:2], wanted[:2], strict=True))
    return abs(w + a), abs(w) + abs(a), abs(widths[2] - wanted[2]), (widths[0], widths[1], widths[2])


def activity_fj(coefficients: Coefficients, toggles: Toggles, pe_cycles: int | Ints, flip_flops: int) -> Floats:
    """Return the energy of a layer's array in fJ (45 nm, 1.1 V), float64 [sample]: clock, operands and partial sums.

    Parameters
    ----------
    coefficients : energy per toggle
    toggles : counts of the layer
    pe_cycles : one number, or int64 [sample]; PEs times cycles in which they are clocked
    flip_flops : flip-flops of one PE

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
    budget: SamplingBudget = DEFAULT_BUDGET,
) -> Toggles:
    """Return the toggles of a convolution or linear layer in a weight-stationary array with `rows` rows.

    The array processes fold after fold. Row r of a fold receives its operand of one output pixel after the other,
    zeros in the padding, and zeros before the first and after the last pixel. The partial sum that leaves row r is
    the sum of the products down to it; array rows below the fold are empty and pass the sum on. Columns without a
    filter are idle, so the number of columns does not matter. Cuts of the pixels into tiles are not modeled.

    A register contains the low bits, in two's complement, of the value that the PE multiplies; for
    midrise, binary and codebook formats, the code itself. With region precision a sensitive code is multiplied by
    the weight, any other code, rounded to its low bits, by the low weight. A transition between two codes counts the
    ones of the weight where at least one code is sensitive, else the ones of the low weight.

    Raises BadInput for a layer without weights, or for missing masks.

    Parameters
    ----------
    network, layer : the layer and its network
    codes : [sample, *shape]; the layer's input codes, as `execute` captures them
    rows : rows of the array
    widths : bits of the PE's weight, activation and partial sum, at least the layer's (values are sign-extended);
        default: the layer's widths and a partial sum of w + a + 8 bits
    masks : bool [sample, ...]; sensitive regions of a layer with region precision
    seed : chooses the blocks of large layers, together with shapes and the layer's name only, so that the counts
        of a sample do not depend on the batch
    budget : limits of the time for partial sums
    """
    if layer.op not in (Op.CONV, Op.LINEAR) or layer.weight is None:
        raise BadInput(f"layer {layer.name!r}", str(layer.op), "a convolution or linear layer")
    if layer.region is not None and masks is None:
        raise BadInput(f"layer {layer.name!r} masks", None, "the sensitive regions of each sample")
    w_bits, a_bits = layer.weight.format.bits, network.formats[layer.inputs[0]].bits
    plan = _plan(network, layer, rows, widths or (w_bits, a_bits, plain_psum_bits(w_bits, a_bits)), seed, budget)
    counts = np.empty((len(codes), 1 + len(plan.psums.blocks.positions)), dtype=np.int64)
    with _arranged(plan, layer, codes, masks) as inputs:
        register, word = plan.operands.register, inputs.registers.dtype.type
        wires = kernels.Wires(inputs.registers, inputs.sensitive, word(register.zero), word(register.mask))
        _for_all_samples(
            kernels.array_toggles,
            kernels.share_of_toggles,
            (counts, inputs.planes),
            wires,
            plan.operands.pairs(),
            plan.psums.arguments(),
        )
    return Toggles(counts[:, 0].copy(), *plan.psums.blocks.estimate(counts[:, 1:]))


@dataclass(frozen=True, eq=False)
class _ActivationRegister:
    """Contents of the activation register by code.

    Attributes
    ----------
    zero, mask : the register contains the bits `mask` of code - `zero`
    table : uint16 [code]; contents of registers that are wider than the stored code, else None
    """

    zero: int
    mask: int
    table: NDArray[np.uint16] | None


@dataclass(frozen=True, eq=False)
class _OperandPlan:
    """Arguments of the kernel for operand toggles; see `kernels.machine.toggles.operand_toggles`.

    Attributes
    ----------
    register : contents of the activation register
    run_starts, groups : pairs of runs, in codes
    ones : int32 or int64, flat; ones of the weights at each code's distance
    low_ones : the same with the low weights; empty without region precision
    """

    register: _ActivationRegister
    run_starts: Ints
    groups: Ints
    ones: NDArray[Any]
    low_ones: NDArray[Any]

    def pairs(self) -> kernels.OperandPairs:
        """Return the kernel's argument."""
        return kernels.OperandPairs(self.run_starts, self.groups, self.ones, self.low_ones)


@dataclass(frozen=True, eq=False)
class _PsumPlan:
    """Arguments of the kernel for partial sums; see `kernels.machine.toggles.psum_toggles`.

    Attributes
    ----------
    decoding : int64 (flip, unit, offset)
    first_codes : int64 [time, tap]; first code of the input pixel that a tap reads, -1 where none
    channels : channels of one group
    blocks : blocks of PEs and cycles
    weights : int32 or int64 [plane, group, reduction, filter]
    mask : bits of a partial sum
    rows : rows of the array
    """

    decoding: Ints
    first_codes: Ints
    channels: int
    blocks: SampledBlocks
    weights: NDArray[Any]
    mask: int
    rows: int

    def arguments(self) -> kernels.PsumBlocks:
        """Return the kernel's argument."""
        positions = self.blocks.positions
        return kernels.PsumBlocks(
            self.decoding, self.first_codes, self.channels, positions, self.weights, self.mask, self.rows
        )


@dataclass(frozen=True, eq=False)
class _Plan:
    """Kernel arguments of one layer that do not depend on its data.

    Attributes
    ----------
    source : format of the input codes
    operands, psums : arguments of the two counts
    decisions : int64 [pixel, channel or 1]; entry of the mask for each code; empty without region precision
    coarse : int64 [code]; code at low precision; empty without region precision
    """

    source: Format
    operands: _OperandPlan
    psums: _PsumPlan
    decisions: Ints
    coarse: Ints


_plans = per_object(Layer, dict)
"""Layer -> the arguments of its plans -> plan."""


def _plan(network: Network, layer: Layer, rows: int, widths: Widths, seed: int, budget: SamplingBudget) -> _Plan:
    plans: dict[Any, _Plan] = _plans.setdefault(layer, {})
    shape, source = network.shapes[layer.inputs[0]], network.formats[layer.inputs[0]]
    key = (shape, source, rows, widths, seed, budget)
    if key not in plans:
        plans[key] = _make_plan(as_product(network, layer), layer, shape, source, rows, widths, seed, budget)
    return plans[key]


def _make_plan(
    product: Product,
    layer: Layer,
    shape: tuple[int, ...],
    source: Format,
    rows: int,
    widths: Widths,
    seed: int,
    budget: SamplingBudget,
) -> _Plan:
    assert layer.weight is not None
    w_bits, a_bits, psum_bits = widths
    sequence, all_channels = _pixel_sequence(layer, shape)
    groups = layer.geometry.groups
    starts, runs = sequence.transitions.in_codes(all_channels)
    ones = sequence.transitions.code_weights(_ones_per_tap(layer.weight, w_bits, groups))
    low_ones: NDArray[Any] = np.zeros(0, dtype=np.int32)
    decisions = coarse = np.zeros(0, dtype=np.int64)
    if layer.region is not None:
        low_weight = QTensor(layer.region.low_weight.astype(np.int64), Format(layer.region.low_bits, signed=True))
        low_ones = sequence.transitions.code_weights(_ones_per_tap(low_weight, layer.region.low_bits, groups))
        decisions, coarse = _decisions(layer.region, shape), _coarse(layer.region, source.bits)
    psums = _PsumPlan(
        decoding=np.array(_decoding(source), dtype=np.int64),
        first_codes=np.where(sequence.pixels < 0, -1, sequence.pixels * all_channels),
        channels=all_channels // groups,
        blocks=sample_blocks(sequence, product, rows, random_stream(seed, "toggles", layer.name), budget),
        weights=_weight_planes(product, layer, source, psum_bits),
        mask=(1 << psum_bits) - 1,
        rows=rows,
    )
    operands = _OperandPlan(_activation_register(source, a_bits), starts, runs, ones, low_ones)
    return _Plan(source, operands, psums, decisions, coarse)


def _weight_planes(product: Product, layer: Layer, source: Format, psum_bits: int) -> NDArray[Any]:
    """Return the weights, and with region precision the shifted low weights, padded to whole vectors of filters.

    The result is [plane, group, reduction, filter], int32 or, for wide partial sums, int64.
    """
    assert layer.weight is not None
    groups = layer.geometry.groups
    planes = [_by_group(layer.weight.values(), groups)]
    if layer.region is not None:
        shift = source.bits + layer.weight.format.bits - 2 * layer.region.low_bits
        planes.append(_by_group(layer.region.low_weight.astype(np.int64) << shift, groups))
    word = np.int32 if psum_bits <= MAX_INT32_PSUM_BITS else np.int64
    padded = np.pad(np.stack(planes), ((0, 0), (0, 0), (0, 0), (0, -product.filters % kernels.LANES)))
    return np.ascontiguousarray(padded.astype(word))


def _pixel_sequence(layer: Layer, shape: tuple[int, ...]) -> tuple[PixelSequence, int]:
    """Return the sequence of input pixels, and the number of codes of each pixel."""
    if layer.op is Op.CONV:
        channels, height, width = shape
        return conv_sequence(height, width, layer.geometry), channels
    return linear_sequence(math.prod(shape[:-1])), shape[-1]


def _by_group(weight: Ints, groups: int) -> Ints:
    """Return weights [filter, channel of group, ...] as [group, reduction, filter of group], channels fastest."""
    filters = len(weight) // groups
    taps = weight.reshape(groups, filters, weight.shape[1], -1)
    return taps.transpose(0, 3, 2, 1).reshape(groups, -1, filters)


def _ones_per_tap(weight: QTensor, bits: int, groups: int) -> Ints:
    """Return the ones of all weights that multiply a code, int64 [tap, channel]; `bits` is the register's width."""
    codes = weight.codes.astype(np.int64)
    contents = codes & ((1 << (bits if weight.format.kind is Kind.UNIFORM else weight.format.bits)) - 1)
    counts = np.bitwise_count(contents).astype(np.int64)
    taps: Ints = counts.reshape(groups, -1, counts.shape[1], math.prod(counts.shape[2:])).sum(axis=1)
    return taps.transpose(2, 0, 1).reshape(taps.shape[2], -1)  # [tap, group and its channel]


def _activation_register(source: Format, bits: int) -> _ActivationRegister:
    """Return the contents of a register of `bits` for codes of a format."""
    stored = code_dtype(source).itemsize * 8
    if source.kind is not Kind.UNIFORM:
        return _ActivationRegister(0, (1 << source.bits) - 1, None)
    if bits <= stored:
        return _ActivationRegister(source.zero_point & ((1 << stored) - 1), (1 << bits) - 1, None)
    values = source.decode(np.arange(1 << stored, dtype=np.uint8).view(code_dtype(source)))
    return _ActivationRegister(0, (1 << bits) - 1, (values & ((1 << bits) - 1)).astype(np.uint16))


def _decoding(source: Format) -> tuple[int, int, int]:
    """Return (flip, unit, offset): a stored code c, unsigned, has the value unit * (c ^ flip) - offset."""
    if source.kind is not Kind.UNIFORM:
        return 0, 2, source.qmax
    flip = 1 << (code_dtype(source).itemsize * 8 - 1) if source.signed else 0
    return flip, 1, flip + source.zero_point


class _Inputs(NamedTuple):
    """Input codes of a layer as unsigned words, channels fastest.

    Attributes
    ----------
    planes : [plane, sample, code]; multiplied codes: one plane, or with region precision the sensitive codes and the
        other codes in separate planes
    registers : [sample, code]; contents of the activation registers
    sensitive : [sample, code]; all ones for sensitive codes, else 0; no rows without region precision
    """

    planes: NDArray[Any]
    registers: NDArray[Any]
    sensitive: NDArray[Any]


@contextmanager
def _arranged(plan: _Plan, layer: Layer, codes: NDArray[Any], masks: NDArray[np.bool_] | None) -> Iterator[_Inputs]:
    """Arrange `codes` [sample, *shape] for the kernels; `masks` is bool [sample, ...] or None."""
    narrow = codes.astype(code_dtype(plan.source), copy=False)
    last = for_kernel(narrow.transpose(0, 2, 3, 1) if layer.op is Op.CONV else narrow)
    words = last.reshape(len(last), math.prod(last.shape[1:])).view(f"u{last.itemsize}")
    if layer.region is None or masks is None:
        table = plan.operands.register.table
        registers = words if table is None else table[words]
        yield _Inputs(words[None], registers, registers[:0])
        return
    flat = for_kernel(masks.reshape(len(masks), math.prod(masks.shape[1:])))
    with BUFFERS.lend(1, 4 * words.nbytes) as (buffer,):
        split = buffer.view(words.dtype).reshape(4, *words.shape)
        planes, registers, sensitive = split[:2], split[2], split[3]
        rule = kernels.RegionRule(plan.decisions, plan.coarse.astype(words.dtype))
        results = kernels.SplitCodes(planes, registers, sensitive)
        _for_all_samples(kernels.split_codes, kernels.share_of_codes, (words, flat), rule, results)
        yield _Inputs(planes, registers, sensitive)


def _for_all_samples(
    kernel: Callable[..., None],
    threaded: Callable[..., None],
    arrays: tuple[NDArray[Any], ...],
    *groups: tuple[Any, ...],
) -> None:
    """Run `threaded` over the first axis of `arrays[0]` on the engine's threads, or `kernel` without compilation.

    `kernel` takes the groups of arguments as tuples, `threaded` takes their fields one by one.
    """
    samples = len(arrays[0])
    if not JIT:
        kernel(0, samples, *arrays, *groups)
        return
    fields = (*arrays, *chain.from_iterable(groups))
    first_slice = MIN_SAMPLES_PER_THREAD * numba.get_num_threads()
    for begin, end in time_slices(samples, first_slice):
        most_workers = max(1, min(numba.get_num_threads(), (end - begin) // MIN_SAMPLES_PER_THREAD))
        run_on_threads(partial(_share, threaded, fields, begin, end), most_workers)


def _share(
    threaded: Callable[..., None],
    fields: tuple[Any, ...],
    begin: int,
    end: int,
    worker: int,
    workers: int,
    slots: CallSlots,
) -> None:
    """Run one thread's share of the samples from `begin` to `end`."""
    samples = end - begin
    first, last = begin + worker * samples // workers, begin + (worker + 1) * samples // workers
    threaded(worker, workers, first, last, *fields, *slots)


def _decisions(region: Region, shape: tuple[int, ...]) -> Ints:
    """Return the entry of a sample's flat mask for each code: int64 [pixel, channel], [pixel, 1] for all channels."""
    channels, height, width = shape
    down, across = ceil_div(height, region.height), ceil_div(width, region.width)
    rows, columns = np.arange(height) // region.height, np.arange(width) // region.width
    pixels = (rows[:, None] * across + columns).reshape(-1, 1)
    return pixels + np.arange(channels if region.per_channel else 1) * (down * across)


def _coarse(region: Region, bits: int) -> Ints:
    """Return the low-precision code of each code of `bits`, int64 [code]."""
    codes = reference.round_shift(np.arange(1 << bits), bits - region.low_bits, region.rounding)
    coarse: Ints = np.clip(codes, 0, (1 << region.low_bits) - 1)
    return coarse
