"""Operand pairs whose products a layer adds up for one output element, in the order of the reduction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hwsim import reference
from hwsim.debug.explanation import Index, Operand
from hwsim.debug.output_element import OutputElement
from hwsim.debug.rounding import round_division
from hwsim.network.layer import Geometry, Op, Region

OperandPair = tuple[Operand, Operand | None, int]
"""First factor, second factor (None in a pool), and the bits by which their product is shifted left."""


def operand_pairs(element: OutputElement) -> Iterator[OperandPair]:
    """Yield the pairs of a layer that accumulates, in the order (kernel row, kernel column, channel)."""
    match element.layer.op:
        case Op.CONV if element.layer.region is not None:
            yield from _region_pairs(element, element.layer.region)
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


def window(element: OutputElement) -> Iterator[Operand | None]:
    """Yield the codes in the window of a pool, row by row; None for padding."""
    channel, row, column = element.at
    for _, _, position in tap_positions(element.layer.geometry, (row, column), element.codes[0].shape[1:]):
        yield None if position is None else element.operand((channel, *position))


def tap_positions(geometry: Geometry, at: Index, size: Index) -> Iterator[tuple[int, int, tuple[int, int] | None]]:
    """Yield kernel row, kernel column and input position of each kernel tap; the position is None in padding.

    `at` is the output position (row, column), `size` the rows and columns of the input map.

    >>> list(tap_positions(Geometry((1, 3), padding=(0, 1)), (0, 0), (1, 2)))
    [(0, 0, None), (0, 1, (0, 0)), (0, 2, (0, 1))]
    """
    for ky in range(geometry.kernel[0]):
        for kx in range(geometry.kernel[1]):
            y = at[0] * geometry.stride[0] - geometry.padding[0] + ky * geometry.dilation[0]
            x = at[1] * geometry.stride[1] - geometry.padding[1] + kx * geometry.dilation[1]
            inside = 0 <= y < size[0] and 0 <= x < size[1]
            yield ky, kx, (y, x) if inside else None


def padding(element: OutputElement, code: int | None = None) -> Operand:
    """Return a padded operand: value zero and no code; a max pool gives the smallest code as `code`."""
    return Operand(element.layer.inputs[0], None, code, 0 if code is None else code, "padding")


def _conv_pairs(element: OutputElement) -> Iterator[tuple[Operand, Index]]:
    """Yield each operand of a convolution with the index of its weight."""
    filter_, row, column = element.at
    filters, per_group = element.weights.codes.shape[:2]
    first = filter_ // (filters // element.layer.geometry.groups) * per_group
    for ky, kx, position in tap_positions(element.layer.geometry, (row, column), element.codes[0].shape[1:]):
        for c in range(per_group):
            operand = padding(element) if position is None else element.operand((first + c, *position))
            yield operand, (filter_, c, ky, kx)


def _region_pairs(element: OutputElement, region: Region) -> Iterator[OperandPair]:
    """Yield the pairs of a convolution with region precision: full width where sensitive, low width elsewhere."""
    codes = element.codes[0][None]
    mask = reference.spread(reference.sensitive_regions(region, codes), region, codes.shape)
    sensitive = np.broadcast_to(mask, codes.shape)[0]
    for operand, at in _conv_pairs(element):
        if operand.at is None:
            yield operand, element.weight(at), 0
        elif sensitive[operand.at]:
            yield element.operand(operand.at, note="sensitive"), element.weight(at), 0
        else:
            yield _coarse_pair(element, region, operand, at)


def _coarse_pair(element: OutputElement, region: Region, operand: Operand, at: Index) -> OperandPair:
    """Return an operand rounded to the low width, its low weight, and the shift back to full scale."""
    drop = element.formats[0].bits - region.low_bits
    shift = drop + element.weights.format.bits - region.low_bits
    rounded = round_division(operand.value, 1 << drop, region.rounding).result
    coarse = min(max(rounded, 0), (1 << region.low_bits) - 1)
    low = int(region.low_weight[at])
    return (
        Operand(operand.source, operand.at, operand.code, coarse, f"coarse, {region.low_bits} bits"),
        Operand("low weight", at, low, low),
        shift,
    )
