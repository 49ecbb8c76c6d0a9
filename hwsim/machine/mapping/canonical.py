"""Canonical products: layers that are one matrix product get one mapping, however they are written."""

from __future__ import annotations

import math
from dataclasses import replace

from hwsim.cache import cached
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window


@cached(1024)
def canonical(product: Product, batch: int, square: bool = False) -> tuple[Product, int]:
    """Return the product, and the number of samples that share its second operand, in the form that is mapped.

    - Where the second operand is an activation, every sample has its own: the samples are further groups, and nothing
      is shared.
    - Where no input code is in two windows along an axis, and none of them is padding, the kernel positions of the axis
      are further channels. A convolution whose kernel covers the rows or the whole map, one whose stride is its
      kernel, and a 1x1 convolution become the plain product that they are.

    Both keep the order of the reduction (kernel row, kernel column, channel). `square` gives a plain product a map
    with about as many rows as columns, for dataflows that work on rows of a map. A layer with region precision stays
    as it is, because its regions belong to its map.

    >>> from hwsim.network.product import conv_product
    >>> fc = conv_product(1, 64, 16, 1025, Geometry((1, 1025)))
    >>> canonical(fc, 1)[0] == Product(pixels=16, reduction=1025, filters=64, ifmap_elements=16 * 1025)
    True
    >>> scores = Product(pixels=64, reduction=32, filters=64, groups=8, second_is_weight=False)
    >>> made, shared = canonical(scores, 16)
    >>> made.groups, shared
    (128, 1)
    """
    if not product.second_is_weight:
        groups = product.groups * batch
        product = replace(product, groups=groups, ifmap_elements=product.ifmap_elements * batch)
        batch = 1
    if product.low_bits is not None:
        return product, batch
    window = None if product.window is None else _fold(product.window)
    if window is None:
        elements = product.groups * product.pixels * product.reduction
        window = _square(product.pixels) if square else None
        return replace(product, window=window, ifmap_elements=elements), batch
    return replace(product, window=window), batch


def _fold(window: Window) -> Window | None:
    """Return the window without the axes whose kernel positions are channels; None for a plain product."""
    g, (rows, cols) = window.geometry, window.output
    if not _is_apart(window, axis=1):
        return window
    if _is_apart(window, axis=0):
        return None
    top, bottom, _, _ = g.pads
    geometry = replace(
        g,
        kernel=(g.kernel[0], 1),
        stride=(g.stride[0] if rows > 1 else 1, 1),
        dilation=(g.dilation[0] if g.kernel[0] > 1 else 1, 1),
        padding=(top, 0),
        padding_end=None if top == bottom else (bottom, 0),
    )
    return Window(window.height, cols, geometry)


def _is_apart(window: Window, axis: int) -> bool:
    """Return whether the windows lie side by side along an axis, without padding."""
    g, output = window.geometry, window.output[axis]
    kernel, stride = g.kernel[axis], g.stride[axis]
    padded = any(g.pads[2 * axis : 2 * axis + 2])
    dense = g.dilation[axis] == 1 or kernel == 1
    return dense and not padded and (stride == kernel or output == 1)


def _square(pixels: int) -> Window:
    """Return a map of `pixels` pixels with at most as many rows as columns, and as many rows as divide it."""
    rows = next(rows for rows in range(math.isqrt(pixels), 0, -1) if pixels % rows == 0)
    return Window(rows, pixels // rows, Geometry())
