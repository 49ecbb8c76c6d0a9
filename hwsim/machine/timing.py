"""Array cycles of one layer: closed forms per fold, all integers.

With an R x C array and one fold after the other (`rtl`, the default; whole-array fill):

    weight stationary   R (weight load) + pixels * steps + R + C - 1 (skew in, skew out, output register)
    output stationary   ceil(reduction / lanes) * steps + R + C - 2 (skew) + R (shift the outputs out)

`rtl` equals the cycle walks of `hwsim.reference` and the Verilog twin (N x N array, M vectors:
M + 3N - 1). `scalesim` is SCALE-Sim v3 (scalesim-project/SCALE-Sim 1d62b68): R + C - 2 of fill in
both dataflows; its printed total is one less than the number of cycles.
A serial PE adds no skew: each row starts one cycle after the row before it, whatever its steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import region_timing
from hwsim.machine.accelerator import Accelerator
from hwsim.machine.mapping import Mapping, Product
from hwsim.network.layer import Layer

Ints = NDArray[np.int64]
Size = tuple[int, int]


@dataclass(frozen=True)
class ArrayCycles:
    """Cycles of one layer on the array by cause, for one sample of any data."""

    compute: int
    fill_drain: int
    weight_load: int

    @property
    def total(self) -> int:
        """All three causes."""
        return self.compute + self.fill_drain + self.weight_load


def array_cycles(accelerator: Accelerator, product: Product, mapping: Mapping) -> ArrayCycles:
    """Cycles of `product` when every operand pair takes the steps of the mapping's rate.

    >>> from hwsim.registry import build
    >>> from hwsim.machine.mapping import derive_mapping
    >>> tiny, product = build("accelerator", "tiny"), Product(pixels=37, reduction=4, filters=4)
    >>> array_cycles(tiny, product, derive_mapping(tiny, product)).total  # M + 3N - 1
    48
    """
    rows, cols = accelerator.array.rows, accelerator.array.cols
    rtl = accelerator.timing == "rtl"
    if accelerator.dataflow == "ws":
        streamed = product.pixels * mapping.rate.steps * mapping.k_folds * mapping.n_folds * product.groups
        fill, load = rows + cols - (1 if rtl else 2), rows
    else:
        streamed = -(-product.reduction // mapping.rate.lanes) * mapping.rate.steps * mapping.folds
        fill, load = rows + cols - 2 + (rows if rtl else 0), 0
    return ArrayCycles(streamed, fill * mapping.folds, load * mapping.folds)


@dataclass(frozen=True, eq=False)
class RegionCounts:
    """What the masks of one layer do: compute cycles and full-width products, int64 [sample] each."""

    compute: Ints
    macs_full: Ints


def region_counts(
    accelerator: Accelerator, product: Product, mapping: Mapping, layer: Layer, masks: NDArray[np.bool_], size: Size
) -> RegionCounts:
    """Cycles of a layer with region precision on an array that moves in lock-step.

    A wavefront (one output pixel in ws; one step of one pixel block in os) costs the full steps as
    soon as one of its operand pairs comes from a sensitive *input* pixel, else the low steps. The
    reduction runs over (kernel row, kernel column, channel), so that the rows of a fold cover
    consecutive taps. `masks` is [sample, region row, region column], `size` the rows and columns of
    the input map.
    """
    assert product.low_bits is not None
    where = region_of_tap(layer, size)
    padding = np.zeros((len(masks), 1), dtype=np.bool_)
    flat = np.concatenate([masks.reshape(len(masks), product.regions), padding], axis=1)
    channels = product.reduction // where.shape[1]
    full, low = mapping.rate.steps, accelerator.pe.rate(product.low_bits, product.low_bits).steps
    if accelerator.dataflow == "ws":
        ranges, times = _tap_ranges(product.reduction, channels, accelerator.array.rows)
        hot = region_timing.hot_wavefronts(flat, where, ranges) @ times
        wavefronts = product.pixels * mapping.k_folds
    else:
        hot = region_timing.hot_steps(flat, where, accelerator.array.rows) * channels
        wavefronts = product.reduction * mapping.m_folds
    compute = (hot * full + (wavefronts - hot) * low) * (mapping.n_folds * product.groups)
    macs_full = region_timing.sensitive_taps(flat, where) * (channels * product.filters * product.groups)
    return RegionCounts(compute, macs_full)


def region_of_tap(layer: Layer, size: Size) -> NDArray[np.int32]:
    """The region, counted row by row, of the input pixel that each tap reads: int32 [output pixel, kernel tap].

    Taps on padding get the number of regions, one past the last.

    >>> from hwsim.formats import LOGITS
    >>> from hwsim.network.layer import (Geometry, Op, Region)
    >>> region = Region(1, 2, threshold=0, low_weight=np.zeros((1, 1, 1, 3)))
    >>> layer = Layer("c", Op.CONV, (), LOGITS, geometry=Geometry((1, 3), padding=(0, 1)), region=region)
    >>> region_of_tap(layer, (1, 4)).tolist()
    [[2, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 2]]
    """
    region, geometry = layer.region, layer.geometry
    assert region is not None
    coordinates = []
    for axis, step in ((0, region.height), (1, region.width)):
        first = np.arange(geometry.output_size(*size)[axis]) * geometry.stride[axis] - geometry.padding[axis]
        taps = np.arange(geometry.kernel[axis]) * geometry.dilation[axis]
        pixel = first[:, None] + taps  # [output, tap] along this axis
        coordinates.append(np.where((pixel >= 0) & (pixel < size[axis]), pixel // step, -1))
    y, x = coordinates[0][:, None, :, None], coordinates[1][None, :, None, :]
    columns, regions = -(-size[1] // region.width), -(-size[0] // region.height) * -(-size[1] // region.width)
    where = np.where((y >= 0) & (x >= 0), y * columns + x, regions)
    return where.reshape(where.shape[0] * where.shape[1], -1).astype(np.int32)


def _tap_ranges(reduction: int, channels: int, depth: int) -> tuple[Ints, Ints]:
    """First and last tap of each fold along the reduction, equal ones once, and how often each occurs."""
    found = Counter(
        (first // channels, (min(first + depth, reduction) - 1) // channels) for first in range(0, reduction, depth)
    )
    return np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.int64)
