"""What a layer adds up for one output element, tap by tap, in the order of the reduction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim import reference
from hwsim.debug.explanation import Index, Operand
from hwsim.debug.output_element import Element
from hwsim.debug.rounding import stage
from hwsim.network.layer import Geometry, Op, Region

Tap = tuple[Operand, Operand | None, int]
"""Operand, factor, and by how many bits their product is shifted left."""


def taps(element: Element) -> Iterator[Tap]:
    """The taps of a layer that accumulates, in the order (kernel row, kernel column, channel) of the reduction."""
    match element.layer.op:
        case Op.CONV if element.layer.region is not None:
            yield from _region_taps(element, element.layer.region)
        case Op.CONV:
            yield from ((x, element.weight(at), 0) for x, at in _conv_pairs(element))
        case Op.LINEAR:
            *outer, output = element.at
            for k in range(element.codes[0].shape[-1]):
                yield element.operand((*outer, k)), element.weight((output, k)), 0
        case Op.MATMUL:
            *outer, row, column = element.at
            for k in range(element.codes[0].shape[-1]):
                yield element.operand((*outer, row, k)), element.operand((*outer, k, column), 1), 0
        case Op.AVG_POOL:
            yield from ((x or padding(element), None, 0) for x in window(element))
        case Op.GLOBAL_AVG_POOL:
            for at in np.ndindex(*element.codes[0].shape[1:]):
                yield element.operand((element.at[0], *at)), None, 0


def window(element: Element) -> Iterator[Operand | None]:
    """The codes under the window of a pool, row by row; None where it hangs over the edge."""
    channel, row, column = element.at
    for _, _, place in places(element.layer.geometry, (row, column), element.codes[0].shape[1:]):
        yield None if place is None else element.operand((channel, *place))


def places(geometry: Geometry, at: Index, size: Index) -> Iterator[tuple[int, int, tuple[int, int] | None]]:
    """Kernel row, kernel column, and the place of that tap in a map of `size`, or None in its padding.

    >>> list(places(Geometry((1, 3), padding=(0, 1)), (0, 0), (1, 2)))
    [(0, 0, None), (0, 1, (0, 0)), (0, 2, (0, 1))]
    """
    for ky in range(geometry.kernel[0]):
        for kx in range(geometry.kernel[1]):
            y = at[0] * geometry.stride[0] - geometry.padding[0] + ky * geometry.dilation[0]
            x = at[1] * geometry.stride[1] - geometry.padding[1] + kx * geometry.dilation[1]
            inside = 0 <= y < size[0] and 0 <= x < size[1]
            yield ky, kx, (y, x) if inside else None


def padding(element: Element, code: int | None = None) -> Operand:
    """A tap in the padding: of value zero and without a code, but for a max pool, where it has the smallest code."""
    return Operand(element.layer.inputs[0], None, code, code or 0, "padding")


def _conv_pairs(element: Element) -> Iterator[tuple[Operand, Index]]:
    """Operands of a convolution with the index of the weight that each one meets."""
    filter_, row, column = element.at
    per_group = element.tensor.codes.shape[1]
    first = filter_ // (len(element.tensor.codes) // element.layer.geometry.groups) * per_group
    for ky, kx, place in places(element.layer.geometry, (row, column), element.codes[0].shape[1:]):
        for c in range(per_group):
            operand = padding(element) if place is None else element.operand((first + c, *place))
            yield operand, (filter_, c, ky, kx)


def _region_taps(element: Element, region: Region) -> Iterator[Tap]:
    """Taps of a convolution with region precision: at full width where the input pixel is sensitive, else coarse."""
    codes = element.codes[0][None]
    mask = reference.spread(reference.sensitive_regions(region, codes), region, codes.shape)
    sensitive = np.broadcast_to(mask, codes.shape)[0]
    for operand, at in _conv_pairs(element):
        if operand.at is None:
            yield operand, element.weight(at), 0
        elif sensitive[operand.at]:
            yield element.operand(operand.at, note="sensitive"), element.weight(at), 0
        else:
            yield _coarse_tap(element, region, operand, at)


def _coarse_tap(element: Element, region: Region, operand: Operand, at: Index) -> Tap:
    drop = element.formats[0].bits - region.low_bits
    shift = drop + element.tensor.format.bits - region.low_bits
    rounded = stage(operand.value, 1 << drop, region.rounding).result
    coarse = min(max(rounded, 0), (1 << region.low_bits) - 1)
    low = int(region.low_weight[at])
    return (
        Operand(operand.source, operand.at, operand.code, coarse, f"coarse, {region.low_bits} bits"),
        Operand("low weight", at, low, low),
        shift,
    )
