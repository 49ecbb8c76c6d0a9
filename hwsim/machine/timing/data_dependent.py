"""Data-dependent counts of a layer: streaming cycles where every activation takes its own number of cycles.

The cycles of a PE depend on its operands with regions of two precisions (DRQ), with zero skipping, and in
bit-serial PEs that skip leading zeros. Each of them gives the cycles of every *input* code. Rows then move in
lock-step, so that a wavefront takes as long as its slowest row, or elastically, with FIFOs of partial sums
between rows (`array.row_fifo_depth`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.formats import Format
from hwsim.kernels.machine import row_sync
from hwsim.kernels.machine.tiling_search import PIXELS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping, low_width
from hwsim.machine.pe.base import ActivationTiming, OutlierTiming
from hwsim.machine.timing.layer_cycles import StreamCycles
from hwsim.machine.timing.operand_addresses import Wavefronts, wavefronts
from hwsim.network.layer import Geometry, Layer
from hwsim.network.product import Product

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class DataDependentCounts:
    """Counts of one layer that depend on the data.

    Attributes
    ----------
    streams : streaming cycles
    busy : int64 [sample], PE cycles with a product
    macs_low : int64 [sample], products at the low width
    outlier_unit_cycles : int64 [sample], cycles of the outlier unit, for which the layer waits where they exceed
        those of the array; None without one
    """

    streams: StreamCycles
    busy: Ints
    macs_low: Ints
    outlier_unit_cycles: Ints | None = None


@dataclass(frozen=True)
class CyclesPerWavefront:
    """Cycles of one wavefront at the full and at the low width; `*_limited` as the scratchpad ports allow."""

    full: int
    low: int
    full_limited: int
    low_limited: int


def cycles_per_wavefront(accelerator: Accelerator, mapping: Mapping) -> CyclesPerWavefront:
    """Return the cycles of a wavefront of a layer with region precision."""
    product = mapping.product
    assert product.low_bits is not None
    rate = accelerator.pe.rate(product.low_bits, product.low_bits)
    limits = accelerator.dataflow.port_limits(accelerator, low_width(product), rate)
    return CyclesPerWavefront(
        mapping.rate.interval, rate.interval, mapping.ports.wavefront_cycles, limits.wavefront_cycles
    )


def region_dynamic(
    accelerator: Accelerator, mapping: Mapping, layer: Layer, masks: NDArray[np.bool_]
) -> DataDependentCounts:
    """Count a layer with region precision: sensitive pixels take the cycles of the full width, others of the low width.

    `masks` is bool [sample, region row, region column], or [sample, channel, region row, region column] where
    every channel has its own mask. Padding is never sensitive.
    """
    region, window, product = layer.region, mapping.product.convolution, mapping.product
    assert region is not None
    cycles = cycles_per_wavefront(accelerator, mapping)
    by_channel = masks if masks.ndim == 4 else masks[:, None]
    rows, cols = np.arange(window.height) // region.height, np.arange(window.width) // region.width
    sensitive = by_channel[:, :, rows[:, None], cols]
    steps = np.where(sensitive, np.uint8(cycles.full), np.uint8(cycles.low))
    limited = np.where(sensitive, np.uint16(cycles.full_limited), np.uint16(cycles.low_limited))
    streams = step_streams(accelerator, mapping, steps, limited, (cycles.low, cycles.low_limited))
    full = _sum_over_products(mapping, sensitive.astype(np.uint8))
    return DataDependentCounts(streams, full * cycles.full + (product.macs - full) * cycles.low, product.macs - full)


def value_dynamic(
    accelerator: Accelerator, mapping: Mapping, layer: Layer, format: Format, codes: NDArray[np.integer]
) -> DataDependentCounts:
    """Count a layer on a PE whose cycles depend on the values that it multiplies.

    `codes` is the layer's input [sample, *shape] in `format`. Cycles may depend on activations (zero skipping,
    leading zeros) or on weights (outliers that share a spare multiplier). Outlier activations may go to an
    outlier unit, for which the layer waits.
    """
    timing, product = accelerator.pe.value_timing, mapping.product
    values = format.decode(_as_map(product, layer, codes).astype(np.int64))
    none = np.zeros(len(codes), dtype=np.int64)
    if isinstance(timing, ActivationTiming):
        steps = timing.activation_cycles(product.a_bits, product.w_bits, values)
        (padding,) = timing.activation_cycles(product.a_bits, product.w_bits, np.zeros(1, dtype=np.int64)).tolist()
        floor = mapping.ports.wavefront_cycles if mapping.ports.limited_by else 0
        paddings = padding, max(floor, padding)
        streams = step_streams(accelerator, mapping, steps, np.maximum(steps, floor), paddings, timing.rows_per_group)
        return DataDependentCounts(streams, _sum_over_products(mapping, steps), none)
    assert isinstance(timing, OutlierTiming)
    streams = _weight_streams(accelerator, mapping, layer, timing)
    every = format.decode(np.arange(format.qmin, format.qmax + 1))
    products = _sum_over_products(mapping, np.isin(values, every[timing.outlier_codes(every)]).astype(np.uint8))
    return DataDependentCounts(streams, none + product.macs, none, timing.outlier_cycles(products, accelerator.pes))


def _as_map(product: Product, layer: Layer, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Arrange a layer's input codes as the map of its product: [sample, channel, row, column].

    A plain product has its pixels as rows. Kernel positions of `layer` that the canonical product counts as channels
    come before the channels of their group, as in its reduction.
    """
    window = product.convolution
    if codes.ndim != 4:
        codes = codes.reshape(len(codes), product.pixels, product.reduction).swapaxes(1, 2)
        return codes.reshape(len(codes), product.reduction, window.height, window.width)
    down, across = (whole // kept for whole, kept in zip(layer.geometry.kernel, window.geometry.kernel, strict=True))
    rows, cols = layer.geometry.output_size(*codes.shape[2:])
    plain = window.geometry == Geometry()
    height = rows if plain else codes.shape[2]
    width = cols if plain or (window.geometry.stride[1] == 1 and window.width == cols) else codes.shape[3]
    if (down, across) == (1, 1) and (height, width) == codes.shape[2:]:
        return codes.reshape(*codes.shape[:2], window.height, window.width)
    parts = codes[:, :, : height * down, : width * across]
    parts = parts.reshape(len(codes), product.groups, -1, height, down, width, across).transpose(0, 1, 4, 6, 2, 3, 5)
    return parts.reshape(len(codes), -1, window.height, window.width)


def step_streams(
    accelerator: Accelerator,
    mapping: Mapping,
    steps: NDArray[np.integer],
    limited: NDArray[np.integer],
    paddings: tuple[int, int],
    group: int = 1,
) -> StreamCycles:
    """Compute the streams of inputs that take `steps` cycles each, `limited` as the ports allow.

    Both are [sample, channel, row, column]; one channel serves all channels. `paddings` are both values for padding,
    and `group` neighboring rows share the largest.
    """
    product, samples = mapping.product, len(steps)
    channels = product.reduction // product.convolution.taps
    blocks = _pixel_blocks(mapping)
    k_blocks = ceil_div(channels, mapping.tiling.channels)
    parts = np.zeros((4, samples, product.groups, len(blocks), 1, k_blocks), dtype=np.int64)
    last_wait = np.zeros(samples, dtype=np.int64)
    last_tile = int(mapping.tiles["m"][-1]), int(mapping.tiles["k"][-1])
    for index, (front, own, capped) in enumerate(_maps_by_group(mapping, (steps, limited), paddings)):
        same = np.array_equal(own, capped)
        for m, pixels in enumerate(blocks):
            for k, taps in enumerate(_channel_blocks(mapping, front)):
                free, alone = _fold_cycles(accelerator, own, front.pixels[pixels], taps, group)
                slow = free if same else _fold_cycles(accelerator, capped, front.pixels[pixels], taps, group)[0]
                wait = mapping.fold.hidden_wait(slow)
                for part, cycles in zip(parts, (alone, free - alone, slow - free, wait), strict=True):
                    part[:, index, m, 0, k] = cycles.sum(axis=1)
                if (m, k) == last_tile:
                    last_wait = wait[:, -1]  # the last group sets it last
    compute, stall, port, wait = parts
    return StreamCycles(compute, stall, port, wait, last_wait)


def _sum_over_products(mapping: Mapping, marks: NDArray[np.integer]) -> Ints:
    """Sum, over all products, `marks` [sample, channel, row, column] of their input: int64 [sample]."""
    total = np.zeros(len(marks), dtype=np.int64)
    for front, flat in _maps_by_group(mapping, (marks,), (0,)):
        total += row_sync.total_steps(flat, front.pixels, front.taps) * mapping.product.filters
    return total


def _maps_by_group(
    mapping: Mapping, maps: Sequence[NDArray[np.integer]], paddings: Sequence[int]
) -> Iterator[tuple[Any, ...]]:
    """Yield for every group the addresses of its operands, and the flat padded maps of its channels."""
    product, window = mapping.product, mapping.product.convolution
    channels = product.reduction // window.taps
    shared = maps[0].shape[1] == 1 < channels * product.groups
    front = wavefronts(window, channels, shared)
    for group in range(product.groups):
        mine = slice(0, 1) if shared else slice(group * channels, (group + 1) * channels)
        yield front, *(front.embed(one[:, mine], padding) for one, padding in zip(maps, paddings, strict=True))


def _weight_streams(accelerator: Accelerator, mapping: Mapping, layer: Layer, timing: OutlierTiming) -> StreamCycles:
    """Compute the streams, one row for all samples, where each weight takes its own number of cycles.

    Weight stationary, every wavefront of a fold takes the cycles of the fold's slowest weight. Output
    stationary, every position of the reduction takes the cycles of its slowest weight.
    """
    assert layer.weight is not None
    floor = mapping.ports.wavefront_cycles if mapping.ports.limited_by else 0
    product, tiling, array = mapping.product, mapping.tiling, accelerator.array
    channels = product.reduction // product.convolution.taps
    kernel = layer.geometry.kernel
    weights = layer.weight.values().reshape(product.groups, product.filters, -1, *kernel).transpose(0, 1, 3, 4, 2)
    weights = weights.reshape(product.groups, product.filters, -1, channels)  # reduction: kernel positions, channels
    pixels = np.array([len(block) for block in _pixel_blocks(mapping)])
    pixels_stream = accelerator.dataflow.streamed == PIXELS
    times = pixels if pixels_stream else ceil_div(pixels, array.rows)
    n_tiles, k_tiles = range(0, product.filters, tiling.filters), range(0, channels, tiling.channels)
    parts = np.zeros((3, 1, product.groups, len(pixels), len(n_tiles), len(k_tiles)), dtype=np.int64)
    compute, port, wait = parts
    last_wait = np.zeros(1, dtype=np.int64)
    for group, own in enumerate(weights):
        for n, first in enumerate(n_tiles):
            last = min(first + tiling.filters, product.filters)
            for k, channel in enumerate(k_tiles):
                part = own[:, :, channel : channel + tiling.channels].reshape(product.filters, -1)
                for low in range(first, last, array.cols):
                    steps = timing.weight_cycles(product.w_bits, part[low : min(low + array.cols, last)])
                    slowest = steps.max(axis=0).astype(np.int64)
                    if pixels_stream:
                        slowest = np.maximum.reduceat(slowest, np.arange(0, len(slowest), array.rows))
                    stream = times[:, None] * slowest
                    limited = times[:, None] * np.maximum(slowest, floor)
                    waits = mapping.fold.hidden_wait(limited)
                    compute[0, group, :, n, k] += stream.sum(axis=1)
                    port[0, group, :, n, k] += (limited - stream).sum(axis=1)
                    wait[0, group, :, n, k] += waits.sum(axis=1)
                    last_wait[0] = waits[int(mapping.tiles["m"][-1]), -1]
    return StreamCycles(compute, np.zeros_like(compute), port, wait, last_wait)


def _fold_cycles(
    accelerator: Accelerator, steps: NDArray[np.uint8], pixels: Ints, taps: Ints, group: int
) -> tuple[Ints, Ints]:
    """Compute (streaming cycles, cycles of the busiest row) of each fold of a tile: int64 [sample, fold] each.

    `steps` uint8 [sample, flat map]; `pixels` and `taps` int64 addresses.
    """
    pixels_stream = accelerator.dataflow.streamed == PIXELS
    along_i, along_r = (pixels, taps) if pixels_stream else (taps, pixels)
    rows, depth = accelerator.array.rows, accelerator.array.row_fifo_depth
    if depth is None:
        found = _lockstep(steps, along_i, along_r, rows, group)
        return found[:, :, 0], found[:, :, 1]
    found = row_sync.elastic(steps, along_i, along_r, rows, depth, group)
    used = np.minimum(rows, len(along_r) - np.arange(found.shape[1]) * rows)
    streaming = found[:, :, 0] - (used - 1)  # the skew from row to row is fill
    return np.maximum(streaming, found[:, :, 1]), found[:, :, 1]


def _lockstep(steps: NDArray[np.uint8], along_i: Ints, along_r: Ints, rows: int, group: int) -> Ints:
    """Compute `row_sync.lockstep`; addresses that channels with one mask share are read once."""
    reading = _distinct(along_i.tobytes(), along_r.tobytes(), rows)
    if group > 1 or reading is None:
        return row_sync.lockstep(steps, along_i, along_r, rows, group)
    cycles = row_sync.lockstep(steps, reading.once, reading.addresses.ravel(), reading.addresses.shape[1])
    found: Ints = cycles[:, reading.fold] * reading.times
    return found


@dataclass(frozen=True, eq=False)
class _Reading:
    """Distinct reads of the folds of a tile.

    Attributes
    ----------
    once : int64 [wavefront], each distinct wavefront once
    times : how often each wavefront occurs
    addresses : int64 [distinct fold, row]
    fold : int64 [fold], index of the distinct fold
    """

    once: Ints
    times: int
    addresses: Ints
    fold: Ints


@cached(256)
def _distinct(along_i: bytes, along_r: bytes, rows: int) -> _Reading | None:
    """Return the distinct folds of int64 addresses, None where the addresses of wavefronts occur unequally often.

    Rows of a fold with one address take equal cycles, and so do folds with equal addresses. The result depends
    on the layer alone, so it is cached from batch to batch.
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
    """List the output pixels of each block of pixels, in the order of `tiles`: indices into the map, row by row."""
    height, width = mapping.product.convolution.output
    index = np.arange(height * width).reshape(height, width)
    t = mapping.tiling
    return [
        index[row : row + t.rows, col : col + t.cols].ravel()
        for row in range(0, height, t.rows)
        for col in range(0, width, t.cols)
    ]


def _channel_blocks(mapping: Mapping, front: Wavefronts) -> list[Ints]:
    """List the reduction offsets of each block of channels, in the order (kernel row, kernel column, channel)."""
    by_tap = front.taps.reshape(mapping.product.convolution.taps, -1)
    size = mapping.tiling.channels
    return [by_tap[:, first : first + size].ravel() for first in range(0, by_tap.shape[1], size)]
