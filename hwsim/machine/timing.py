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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import region_timing
from hwsim.machine.accelerator import Accelerator
from hwsim.machine.mapping import Mapping, Product
from hwsim.network.graph import Layer, Region

Ints = NDArray[np.int64]


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
    accelerator: Accelerator, product: Product, mapping: Mapping, layer: Layer, masks: NDArray[np.bool_], shapes: Any
) -> RegionCounts:
    """Cycles of a layer with region precision on an array that moves in lock-step.

    A wavefront (one output pixel in ws; one step of one pixel block in os) costs the full steps as
    soon as one of its operand pairs comes from a sensitive *input* pixel, else the low steps. The
    reduction runs over (kernel row, kernel column, channel), so that the rows of a fold cover
    consecutive taps. `shapes` are the sizes (rows, columns) of the input and the output map.
    """
    assert layer.region is not None and product.low_bits is not None
    size, out = shapes
    window = _window(layer.region, layer, size, out)
    taps = layer.geometry.kernel[0] * layer.geometry.kernel[1]
    channels = product.reduction // taps
    full, low = mapping.rate.steps, accelerator.pe.rate(product.low_bits, product.low_bits).steps
    masks = np.ascontiguousarray(masks)
    if accelerator.dataflow == "ws":
        ranges, times = _tap_ranges(product.reduction, channels, accelerator.array.rows * mapping.rate.lanes)
        hot = region_timing.hot_wavefronts(masks, ranges, *window) @ times
        wavefronts = product.pixels * mapping.k_folds
        repeats = mapping.n_folds * product.groups
    else:
        hot = region_timing.hot_steps(masks, accelerator.array.rows, *window) * channels
        wavefronts = mapping.m_folds * product.reduction
        repeats = mapping.n_folds * product.groups
    macs_full = region_timing.sensitive_taps(masks, *window) * (channels * product.filters * product.groups)
    return RegionCounts((hot * full + (wavefronts - hot) * low) * repeats, macs_full)


def _window(region: Region, layer: Layer, size: tuple[int, int], out: tuple[int, int]) -> Any:
    geometry = layer.geometry
    return size, (region.height, region.width), geometry.kernel, geometry.stride, geometry.padding, out


def _tap_ranges(reduction: int, channels: int, depth: int) -> tuple[Ints, Ints]:
    """First and last tap of each fold along the reduction, equal ones once, and how often each occurs."""
    found = Counter(
        (first // channels, (min(first + depth, reduction) - 1) // channels) for first in range(0, reduction, depth)
    )
    return np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.int64)
