"""Mapping: a layer on an accelerator, with its tiles and the cost of a fold."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from threading import Thread
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.errors import BadInput, Infeasible
from hwsim.kernels.machine import tiling_search
from hwsim.kernels.machine.tiling_search import BY_PASS, TILE, TILING
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.dataflow.base import Extents, FoldOverheads, PortLimits
from hwsim.machine.dataflow.row_stationary_pass import Pass
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.canonical import canonical
from hwsim.machine.mapping.limits import check_batch, check_counts, check_size
from hwsim.machine.mapping.pe_suggestions import require_widths
from hwsim.machine.mapping.records import array_record, shape_record
from hwsim.machine.mapping.tiling import (
    MAX_TILES,
    Tiling,
    check_tiling,
    count_tiles,
    tile_bits,
    tiling_of,
    tiling_record,
    whole_layer,
)
from hwsim.machine.pe.base import Rate
from hwsim.network.product import Product

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Mapping:
    """A layer on an accelerator.

    Attributes
    ----------
    product, batch : the layer as a matrix product in its canonical form, and the number of samples that share its
        second operand; samples that do not are groups of the product
    rate : products per interval of a PE at the operand widths
    extents : size of one fold
    ports : cycles as the scratchpad ports allow them
    fold : cycles of one fold besides streaming
    row_stationary_pass : the pass of a row-stationary array, else None
    tiling : sizes of a tile, and the order of the loops
    tiles : TILE [tile] of `hwsim.kernels.machine.tiling_search`, the tiles of one group in their order
    totals : sums of the columns of `tiles` over all groups
    """

    product: Product
    batch: int
    rate: Rate
    extents: Extents
    ports: PortLimits
    fold: FoldOverheads
    row_stationary_pass: Pass | None
    tiling: Tiling
    tiles: NDArray[np.void]
    totals: Table[str, int]

    @property
    def own_cycles(self) -> int:
        """Cycles of a wavefront in which the PEs work; ports may make a wavefront longer."""
        return self.row_stationary_pass.own_cycles if self.row_stationary_pass else self.rate.interval


@cached(256)
def derive_mapping(accelerator: Accelerator, product: Product, batch: int = 1, tiling: Tiling | None = None) -> Mapping:
    """Map `batch` samples of `product`, by the given tiling or the best one.

    `accelerator.optimize` defines the best tiling: the fewest bits over DRAM within 2 % of the fewest cycles,
    the fewest cycles, or the fewest bits. All loop orders with 1, 2, 3, 4, 6, 8, 12 ... tiles per dimension are
    searched. With ideal memory a layer is one tile. Raises Infeasible when the PE cannot multiply the
    operands or no tile fits the scratchpads, and BadInput when the given tiling does not fit. Equal
    products have equal mappings, see `hwsim.machine.mapping.canonical`.
    """
    check_batch(batch)
    check_size(product, batch)
    product, batch = canonical(product, batch, accelerator.dataflow.needs_rows)
    require_widths(accelerator.pe, product.a_bits, product.w_bits)
    flow, rate = accelerator.dataflow, accelerator.pe.rate(product.a_bits, product.w_bits)
    row_pass = flow.row_pass(accelerator, product, batch)
    extents = flow.extents(accelerator, product, rate, batch, row_pass)
    ports = flow.port_limits(accelerator, product, rate, batch, row_pass)
    whole, cut = (flow.overheads(accelerator, product, ports, channels_cut) for channels_cut in (False, True))
    check_counts(accelerator, product, batch, extents, ports, (whole, cut))
    shape, array = shape_record(product, batch), array_record(accelerator, rate, extents, ports, whole, cut)
    if not accelerator.models_memory:
        if tiling is not None:
            raise BadInput("tiling", tiling, f"none with timing {accelerator.timing}, where a layer is one tile")
        tiling = whole_layer(shape[0])
    elif tiling is None:
        tiling = _best_tiling(accelerator, product, shape, _at_usual_rate(accelerator, product, row_pass, array))
    else:
        check_tiling(tiling, accelerator, shape[0], array[0])
    tiles = np.zeros(count_tiles(tiling, shape[0]), dtype=TILE)
    tiling_search.tiles(shape, array, tiling_record(tiling), tiles)
    return Mapping(
        product=product,
        batch=batch,
        rate=rate,
        extents=extents,
        ports=ports,
        fold=cut if tiling.channels < shape[0]["channels"] else whole,
        row_stationary_pass=row_pass,
        tiling=tiling,
        tiles=tiles,
        totals=_totals(tiles, product.groups),
    )


def _best_tiling(
    accelerator: Accelerator, product: Product, shape: NDArray[np.void], array: NDArray[np.void]
) -> Tiling:
    chosen = np.zeros(1, dtype=TILING)
    large = any(bits > LARGE * accelerator.scratchpads[pad].usable_bits for pad, bits in _operand_bits(product).items())
    search = interruptible if large else _at_once
    if search(lambda: tiling_search.search(shape, array, MAX_TILES, chosen)):
        return tiling_of(chosen)
    raise Infeasible(_why_none_fits(accelerator, product, shape, array))


LARGE = 4096
"""Ratio of an operand to its scratchpad from which the tiling search may take seconds."""


def _operand_bits(product: Product) -> dict[str, int]:
    """Return the bits of one group and sample by scratchpad."""
    return {
        "ifmap": product.pixels * product.reduction // product.convolution.taps * product.a_bits,
        "weight": product.reduction * product.filters * product.stored_w_bits,
        "ofmap": product.pixels * product.filters * product.out_bits,
    }


def _at_once(call: Callable[[], T]) -> T:
    return call()


def interruptible(call: Callable[[], T]) -> T:
    """Return the result of a kernel that releases the interpreter's lock; Ctrl-C ends the wait for it at once.

    The kernel runs in a thread of its own, and an interrupted kernel to its end, unseen. Without a thread the kernel
    runs here.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised again by the caller
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread can be started
        return call()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return results[0]


def _why_none_fits(accelerator: Accelerator, product: Product, shape: NDArray[np.void], array: NDArray[np.void]) -> str:
    """Return the reason why no tiling fits: the smallest tile is too large, or there would be too many tiles."""
    images_rows_cols = (1, int(shape[0]["out_cols"])) if array[0]["streamed"] == BY_PASS else (1, 1)
    smallest = Tiling(*images_rows_cols, filters=1, channels=1)
    needs = tile_bits(smallest, accelerator, shape[0], array[0])
    sizes = ", ".join(f"{pad} {accelerator.scratchpads[pad].kib} KiB" for pad in SCRATCHPADS)
    too_large = [pad for pad in SCRATCHPADS if needs[pad] > accelerator.scratchpads[pad].usable_bits]
    layer = f"{product.reduction // product.convolution.taps} channels and {product.filters} filters"
    if too_large:
        kernel = "x".join(map(str, product.convolution.geometry.kernel))
        bits = ", ".join(f"{needs[pad]:,} bits of {pad}" for pad in too_large)
        one = "one output row" if array[0]["streamed"] == BY_PASS else "one output pixel"
        return (
            f"no tile of {layer} fits half of the scratchpads ({sizes}); the smallest one, {one}, one channel and one "
            f"filter of a {kernel} kernel, needs {bits}"
        )
    return f"no tiling of {layer} fits half of the scratchpads ({sizes}) with at most {MAX_TILES:,} tiles per group"


def _totals(tiles: NDArray[np.void], groups: int) -> dict[str, int]:
    names = TILE.names or ()
    sums = tiles.view(np.int64).reshape(len(tiles), len(names)).sum(axis=0) * groups
    return dict(zip(names, sums.tolist(), strict=True))


def low_width(product: Product) -> Product:
    """Return a product of region precision with all of its operands at the low width."""
    assert product.low_bits is not None
    return replace(product, a_bits=product.low_bits, w_bits=product.low_bits, low_bits=None)


def _at_usual_rate(
    accelerator: Accelerator, product: Product, row_pass: Pass | None, array: NDArray[np.void]
) -> NDArray[np.void]:
    """Return the ARRAY for the tiling search, with the cycles that most wavefronts take.

    Most regions of a layer with region precision have the low width, and a PE may be faster for most values.
    """
    ranked = product if product.low_bits is None else low_width(product)
    rate = accelerator.pe.usual_rate(ranked.a_bits, ranked.w_bits)
    if ranked is product and rate == accelerator.pe.rate(product.a_bits, product.w_bits):
        return array
    usual = array.copy()
    limits = accelerator.dataflow.port_limits(accelerator, ranked, rate, row_pass=row_pass)
    usual["wavefront_cycles"] = limits.wavefront_cycles
    return usual
