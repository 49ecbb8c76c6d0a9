"""Streaming cycles that depend on the data: every activation code takes its own number of steps.

Three things make a PE's time depend on what it multiplies: regions of two precisions (DRQ), skipping
zeros, and bit-serial PEs that leave out leading zeros. All three say how many steps each *input* pixel
takes; the array then moves in lock-step, where a wavefront takes as long as its slowest row, or
elastically, where partial sums that wait between two rows let them run apart
(`array.row_fifo_depth`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.formats import Format
from hwsim.kernels.machine import row_sync
from hwsim.machine.dataflow.port_limits import ports_of
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping, window_of
from hwsim.machine.pe.base import Rate
from hwsim.machine.timing.layer_cycles import StreamCycles
from hwsim.machine.timing.operand_addresses import Wavefronts, wavefronts
from hwsim.network.layer import Layer
from hwsim.network.product import Product

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DataDependentCounts:
    """What depends on the data in one layer: streams, PE cycles with a product, and products at low width.

    `busy` and `macs_low` are int64 [sample]; `beside` int64 [sample] are the cycles of multipliers beside
    the array, which the layer waits for when they are more than the array's.
    """

    streams: StreamCycles
    busy: Ints
    macs_low: Ints
    outlier_unit_cycles: Ints | None = None


@dataclass(frozen=True)
class CyclesPerWavefront:
    """Cycles of one wavefront at the full and at the low width; `*_limited` as the scratchpads allow it."""

    full: int
    low: int
    full_limited: int
    low_limited: int


def cycles_per_wavefront(accelerator: Accelerator, mapping: Mapping) -> CyclesPerWavefront:
    """The paces of a layer with region precision."""
    product = mapping.product
    assert product.low_bits is not None
    low = accelerator.pe.rate(product.low_bits, product.low_bits).interval
    narrow = replace(product, a_bits=product.low_bits, w_bits=product.low_bits, low_bits=None)
    limited = ports_of(accelerator, narrow, Rate(1, low), None).steps
    return CyclesPerWavefront(mapping.rate.interval, low, mapping.ports.steps, limited)


def region_dynamic(
    accelerator: Accelerator, mapping: Mapping, layer: Layer, masks: NDArray[np.bool_]
) -> DataDependentCounts:
    """A layer with region precision: sensitive pixels take the steps of the full width, others those of the low.

    `masks` is bool [sample, region row, region column], or [sample, channel, region row, region
    column] where every channel decides for itself. Padding is never sensitive.
    """
    region, window, product = layer.region, window_of(mapping.product), mapping.product
    assert region is not None
    pace = cycles_per_wavefront(accelerator, mapping)
    by_channel = masks if masks.ndim == 4 else masks[:, None]
    rows, cols = np.arange(window.height) // region.height, np.arange(window.width) // region.width
    sensitive = by_channel[:, :, rows[:, None], cols]
    steps = np.where(sensitive, np.uint8(pace.full), np.uint8(pace.low))
    limited = np.where(sensitive, np.uint16(pace.full_limited), np.uint16(pace.low_limited))
    streams = step_streams(accelerator, mapping, steps, limited, (pace.low, pace.low_limited))
    full = _met(mapping, sensitive.astype(np.uint8))
    return DataDependentCounts(streams, full * pace.full + (product.macs - full) * pace.low, product.macs - full)


def value_dynamic(
    accelerator: Accelerator, mapping: Mapping, layer: Layer, format: Format, codes: NDArray[np.integer]
) -> DataDependentCounts:
    """A layer on a PE whose cycles depend on the values that it multiplies.

    `codes` is the layer's input [sample, *shape] in `format`. Activations may take their own steps
    (zero skipping, leading zeros), weights may (outliers that share a spare multiplier), and outlier
    activations may go to multipliers beside the array, which the layer then waits for.
    """
    pe, product = accelerator.pe, mapping.product
    values = format.decode(_as_map(product, codes).astype(np.int64))
    steps = pe.activation_cycles(product.a_bits, product.w_bits, values)
    none = np.zeros(len(codes), dtype=np.int64)
    if steps is None:
        streams, busy = _weight_streams(accelerator, mapping, layer), none + product.macs
    else:
        (padding,) = pe.activation_cycles(product.a_bits, product.w_bits, np.zeros(1, dtype=np.int64)).tolist()  # type: ignore[union-attr]
        floor = mapping.ports.steps if mapping.ports.slow else 0
        paddings = padding, max(floor, padding)
        streams = step_streams(accelerator, mapping, steps, np.maximum(steps, floor), paddings, pe.rows_per_group)
        busy = _met(mapping, steps)
    every = format.decode(np.arange(format.qmin, format.qmax + 1))
    outliers = pe.outlier_codes(every)
    if outliers is None:
        return DataDependentCounts(streams, busy, none)
    products = _met(mapping, np.isin(values, every[outliers]).astype(np.uint8))
    return DataDependentCounts(streams, busy, none, pe.outlier_cycles(products, accelerator.pes))


def _as_map(product: Product, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Codes of a layer's input as [sample, channel, row, column]; a plain product has its pixels as rows."""
    if product.window is not None:
        return codes
    return codes.reshape(len(codes), product.pixels, product.reduction, 1).transpose(0, 2, 1, 3)


def step_streams(
    accelerator: Accelerator,
    mapping: Mapping,
    steps: NDArray[np.integer],
    limited: NDArray[np.integer],
    paddings: tuple[int, int],
    group: int = 1,
) -> StreamCycles:
    """Streams of inputs that take `steps` [sample, channel, row, column] each, `limited` as the ports allow.

    One channel of steps serves all. `paddings` are both for padding, and `group` neighbouring rows share the
    largest.
    """
    product, samples = mapping.product, len(steps)
    channels, period = product.reduction // window_of(product).taps, _period(mapping)
    blocks = _pixel_blocks(mapping)
    k_blocks = -(-channels // mapping.tiling.channels)
    parts = np.zeros((4, samples, product.groups, len(blocks), 1, k_blocks), dtype=np.int64)
    last_wait = np.zeros((samples, product.groups), dtype=np.int64)
    last_tile = int(mapping.tiles["m"][-1]), int(mapping.tiles["k"][-1])
    for index, (front, own, capped) in enumerate(_maps_by_group(mapping, (steps, limited), paddings)):
        same = np.array_equal(own, capped)
        for m, pixels in enumerate(blocks):
            for k, taps in enumerate(_channel_blocks(mapping, front)):
                free, alone = _fold_cycles(accelerator, own, front.pixels[pixels], taps, group)
                slow = free if same else _fold_cycles(accelerator, capped, front.pixels[pixels], taps, group)[0]
                wait = np.maximum(0, period - slow) if period else np.zeros_like(slow)
                for part, cycles in zip(parts, (alone, free - alone, slow - free, wait), strict=True):
                    part[:, index, m, 0, k] = cycles.sum(axis=1)
                if (m, k) == last_tile:
                    last_wait[:, index] = wait[:, -1]
    compute, stall, port, wait = parts
    return StreamCycles(compute, stall, port, wait, last_wait)


def _period(mapping: Mapping) -> int:
    """Least cycles from fold to fold where the load of the next fold is hidden, else 0."""
    return mapping.fold.period and mapping.fold.period + mapping.fold.load * (mapping.ports.load - 1)


def _met(mapping: Mapping, marks: NDArray[np.integer]) -> Ints:
    """Sum over all products of the mark, in `marks` [sample, channel, row, column], of their input: int64 [sample]."""
    total = np.zeros(len(marks), dtype=np.int64)
    for front, flat in _maps_by_group(mapping, (marks,), (0,)):
        total += row_sync.total_steps(flat, front.pixels, front.taps) * mapping.product.filters
    return total


def _maps_by_group(
    mapping: Mapping, maps: Sequence[NDArray[np.integer]], paddings: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """For every group, where its operands lie, and the flat padded maps of its channels."""
    product, window = mapping.product, window_of(mapping.product)
    channels = product.reduction // window.taps
    shared = maps[0].shape[1] == 1 < channels * product.groups
    front = wavefronts(window, channels, shared)
    for group in range(product.groups):
        mine = slice(0, 1) if shared else slice(group * channels, (group + 1) * channels)
        yield front, *(front.embed(one[:, mine], padding) for one, padding in zip(maps, paddings, strict=True))


def _weight_streams(accelerator: Accelerator, mapping: Mapping, layer: Layer) -> StreamCycles:
    """Streams of one row for all samples where each weight takes its own steps.

    Weight stationary, every wavefront of a fold takes the steps of its slowest weight; output
    stationary, every position of the reduction does.
    """
    assert layer.weight is not None
    period, floor = _period(mapping), mapping.ports.steps if mapping.ports.slow else 0
    pe, product, tiling, array = accelerator.pe, mapping.product, mapping.tiling, accelerator.array
    channels = product.reduction // window_of(product).taps
    weights = layer.weight.values().reshape(product.groups, product.filters, channels, -1).swapaxes(2, 3)
    pixels = np.array([len(block) for block in _pixel_blocks(mapping)])
    weights_stay = accelerator.dataflow == "ws"
    times = pixels if weights_stay else -(-pixels // array.rows)
    n_tiles, k_tiles = range(0, product.filters, tiling.filters), range(0, channels, tiling.channels)
    parts = np.zeros((3, 1, product.groups, len(pixels), len(n_tiles), len(k_tiles)), dtype=np.int64)
    compute, port, wait = parts
    last_wait = np.zeros((1, product.groups), dtype=np.int64)
    for group, own in enumerate(weights):
        for n, first in enumerate(n_tiles):
            last = min(first + tiling.filters, product.filters)
            for k, channel in enumerate(k_tiles):
                part = own[:, :, channel : channel + tiling.channels].reshape(product.filters, -1)
                for low in range(first, last, array.cols):
                    steps = pe.weight_cycles(product.w_bits, part[low : min(low + array.cols, last)])
                    assert steps is not None
                    slowest = steps.max(axis=0).astype(np.int64)
                    if weights_stay:
                        slowest = np.maximum.reduceat(slowest, np.arange(0, len(slowest), array.rows))
                    stream = times[:, None] * slowest
                    limited = times[:, None] * np.maximum(slowest, floor)
                    waits = np.maximum(0, period - limited) if period else np.zeros_like(limited)
                    compute[0, group, :, n, k] += stream.sum(axis=1)
                    port[0, group, :, n, k] += (limited - stream).sum(axis=1)
                    wait[0, group, :, n, k] += waits.sum(axis=1)
                    last_wait[0, group] = waits[int(mapping.tiles["m"][-1]), -1]
    return StreamCycles(compute, np.zeros_like(compute), port, wait, last_wait)


def _fold_cycles(
    accelerator: Accelerator, steps: NDArray[np.uint8], pixels: Ints, taps: Ints, group: int
) -> tuple[Ints, Ints]:
    """(streaming cycles, cycles of the busiest row) of each fold of a tile: int64 [sample, fold] each."""
    weights_stay = accelerator.dataflow == "ws"
    along_i, along_r = (pixels, taps) if weights_stay else (taps, pixels)
    rows, depth = accelerator.array.rows, accelerator.array.row_fifo_depth
    if depth is None:
        found = _lockstep(steps, along_i, along_r, rows, group)
        return found[:, :, 0], found[:, :, 1]
    found = row_sync.elastic(steps, along_i, along_r, rows, depth, group)
    used = np.minimum(rows, len(along_r) - np.arange(found.shape[1]) * rows)
    streaming = found[:, :, 0] - (used - 1)  # the skew from row to row is fill
    return np.maximum(streaming, found[:, :, 1]), found[:, :, 1]


def _lockstep(steps: NDArray[np.uint8], along_i: Ints, along_r: Ints, rows: int, group: int) -> Ints:
    """`row_sync.lockstep`, where channels that share a mask are asked only once."""
    reading = _distinct(along_i.tobytes(), along_r.tobytes(), rows)
    if group > 1 or reading is None:
        return row_sync.lockstep(steps, along_i, along_r, rows, group)
    cycles = row_sync.lockstep(steps, reading.once, reading.addresses.ravel(), reading.addresses.shape[1])
    found: Ints = cycles[:, reading.fold] * reading.times
    return found


@dataclass(frozen=True, eq=False)
class _Reading:
    """What folds read that differs: wavefronts `once` instead of `times` times, `addresses` int64 [distinct fold, row].

    `fold` int64 [fold] is which of the distinct folds each fold is.
    """

    once: Ints
    times: int
    addresses: Ints
    fold: Ints


@cached(256)
def _distinct(along_i: bytes, along_r: bytes, rows: int) -> _Reading | None:
    """The distinct folds of int64 addresses, None where wavefronts do not come in equal numbers of each address.

    Rows of a fold that read the same address take the same steps, and folds that read the same addresses
    the same cycles. It depends on the layer alone, so it is remembered from batch to batch.
    """
    once, times = np.unique(np.frombuffer(along_i, dtype=np.int64), return_counts=True)
    if times.min() != times.max():
        return None
    by_row = np.frombuffer(along_r, dtype=np.int64)
    folds = [tuple(np.unique(by_row[first : first + rows]).tolist()) for first in range(0, len(by_row), rows)]
    distinct = {fold: place for place, fold in enumerate(dict.fromkeys(folds))}
    deepest = max(map(len, distinct))
    addresses = np.array([[*fold, *fold[:1] * (deepest - len(fold))] for fold in distinct], dtype=np.int64)
    return _Reading(once, int(times[0]), addresses, np.array([distinct[fold] for fold in folds], dtype=np.int64))


def _pixel_blocks(mapping: Mapping) -> list[Ints]:
    """Output pixels of each block of pixels, in the order of `tiles`: indices into the map, row by row."""
    height, width = window_of(mapping.product).output
    index = np.arange(height * width).reshape(height, width)
    t = mapping.tiling
    return [
        index[row : row + t.rows, col : col + t.cols].ravel()
        for row in range(0, height, t.rows)
        for col in range(0, width, t.cols)
    ]


def _channel_blocks(mapping: Mapping, front: Wavefronts) -> list[Ints]:
    """Offsets of the reduction of each block of channels, in the order (kernel row, kernel column, channel)."""
    by_tap = front.taps.reshape(window_of(mapping.product).taps, -1)
    size = mapping.tiling.channels
    return [by_tap[:, first : first + size].ravel() for first in range(0, by_tap.shape[1], size)]
