"""Tilings: sizes of a tile and the order of the loops over tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput, Infeasible
from hwsim.kernels.machine import tiling_search
from hwsim.kernels.machine.tiling_search import BY_PASS, CHANNELS, TilingFields
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.records import record

Order = Literal["mnk", "mkn", "nmk", "nkm", "kmn", "knm"]
"""Loops over tiles from outer to inner: m pixels, n filters, k input channels."""

ORDERS: tuple[Order, ...] = get_args(Order)

MAX_TILES = 1 << 21
"""A layer that is cut into more tiles than this is refused: the scratchpads are far too small for it."""


@dataclass(frozen=True)
class Tiling:
    """Sizes of a tile of one group, and the order of the loops.

    The layer is in its canonical form (`hwsim.machine.mapping.canonical`). A plain product, such as a 1x1 convolution,
    counts its pixels as rows and its reduction as channels; row stationary, its pixels form a map.

    Attributes
    ----------
    rows, cols : output rows and columns
    filters, channels : filters and input channels
    order : loops from outer to inner
    images : samples of a batch
    """

    rows: int
    cols: int
    filters: int
    channels: int
    order: Order = "nmk"
    images: int = 1


def tiling_record(tiling: Tiling) -> NDArray[np.void]:
    """Return the TILING record of a tiling."""
    t = tiling
    return record(TilingFields(t.images, t.rows, t.cols, t.filters, t.channels, ORDERS.index(t.order)))


def tiling_of(found: NDArray[np.void]) -> Tiling:
    """Return the tiling of one TILING record."""
    t = TilingFields(*found.tolist()[0])
    return Tiling(t.rows, t.cols, t.filters, t.channels, ORDERS[t.order], t.images)


def whole_layer(shape: np.void) -> Tiling:
    """Return the tiling with a single tile."""
    rows, cols, filters, channels, images = (
        int(shape[name]) for name in ("out_rows", "out_cols", "filters", "channels", "images")
    )
    return Tiling(rows, cols, filters, channels, images=images)


_LIMITS = {"images": "images", "rows": "out_rows", "cols": "out_cols", "filters": "filters", "channels": "channels"}
"""Field of Tiling -> field of SHAPE that bounds it."""


def count_tiles(tiling: Tiling, shape: np.void) -> int:
    """Count the tiles of one group; raises Infeasible above MAX_TILES."""
    count = 1
    for part, whole in _LIMITS.items():
        count *= ceil_div(int(shape[whole]), getattr(tiling, part))
    if count > MAX_TILES:
        raise Infeasible(f"{count:,} tiles; scratchpads and tiles must be large enough for at most {MAX_TILES:,}")
    return count


def check_tiling(tiling: Tiling, accelerator: Accelerator, shape: np.void, array: np.void) -> None:
    """Raise BadInput unless every part of a given tiling lies in the layer and fits half of its scratchpad."""
    for part, whole in _LIMITS.items():
        if not 1 <= getattr(tiling, part) <= shape[whole]:
            raise BadInput(f"tiling.{part}", getattr(tiling, part), f"1 to {shape[whole]}")
    if tiling.order not in ORDERS:
        raise BadInput("tiling.order", tiling.order, ", ".join(ORDERS))
    needs = tile_bits(tiling, accelerator, shape, array)
    for pad in SCRATCHPADS:
        capacity = accelerator.scratchpads[pad].usable_bits
        if needs[pad] > capacity:
            raise BadInput(
                f"tiling: {pad} of one tile", f"{needs[pad]} bits", f"{capacity} bits, half of the scratchpad"
            )


def tile_bits(tiling: Tiling, accelerator: Accelerator, shape: np.void, array: np.void) -> dict[str, int]:
    """Return the bits of the largest tile in each scratchpad."""
    down = (shape[name] for name in ("stride_h", "span_h", "top", "rows"))
    along = (shape[name] for name in ("stride_w", "span_w", "left", "cols"))
    lines = tiling_search.lines(shape["out_rows"], tiling.rows, *down)[0]
    across = tiling_search.lines(shape["out_cols"], tiling.cols, *along)[0]
    depth = tiling.channels * shape["taps"]
    folded = tiling.channels if array["streamed"] == BY_PASS else depth
    several_folds = array["streamed"] != CHANNELS and folded > array["k_extent"]
    sums_wait = tiling.channels < shape["channels"] or several_folds
    sum_bits = accelerator.psum_bits if sums_wait else shape["out_bits"]
    return {
        "ifmap": tiling.images * lines * across * tiling.channels * shape["a_bits"] + shape["mask_bits"],
        "weight": depth * tiling.filters * shape["w_bits"],
        "ofmap": tiling.images * tiling.rows * tiling.cols * tiling.filters * sum_bits,
    }
