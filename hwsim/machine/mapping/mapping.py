"""How a layer is laid on the array: the tiles that fit the scratchpads, and the order of the loops over them."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.errors import BadInput, Infeasible, UnknownName
from hwsim.kernels.machine import tiling_search
from hwsim.kernels.machine.tiling_search import ARRAY, IS, OS, RS, SHAPE, TILE, TILING, WS
from hwsim.machine.dataflow.folds import Fold, fold_of
from hwsim.machine.dataflow.port_limits import Ports, ports_of
from hwsim.machine.dataflow.row_stationary import Pass, derive_pass
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.pe.base import Rate
from hwsim.network.graph import Network
from hwsim.network.layer import Geometry, Layer
from hwsim.network.product import Product, Window, as_product
from hwsim.network.width_groups import width_groups
from hwsim.registry import family

Order = Literal["mnk", "mkn", "nmk", "nkm", "kmn", "knm"]
"""Loops over tiles from outer to inner: m pixels, n filters, k input channels."""

ORDERS: tuple[Order, ...] = get_args(Order)

FLOWS = {"ws": WS, "os": OS, "is": IS, "rs": RS}
MOST_TILES = 1 << 21
"""A layer that is cut into more tiles than this is refused: the scratchpads are far too small for it."""


@dataclass(frozen=True)
class Tiling:
    """Sizes of a tile of one group: output rows and columns of so many images, filters, and input channels.

    A plain product counts its pixels as rows and its reduction as channels.
    """

    rows: int
    cols: int
    filters: int
    channels: int
    order: Order = "nmk"
    images: int = 1


@dataclass(frozen=True, eq=False)
class Mapping:
    """A layer on an accelerator: the rate of the PE, what one fold takes, the tiles, and the records for kernels.

    `ports` are the steps as the scratchpads allow them; `passes` is the row-stationary pass. `tiles`
    lists the tiles of one group in their order (TILE of `hwsim.kernels.machine.tiling_search`), `totals` the
    sums of its columns over all groups. `late` are the cycles by which the outputs of an
    output-stationary fold leave later than they could, because of the ofmap port.
    """

    product: Product
    batch: int
    rate: Rate
    fold: Fold
    ports: Ports
    row_stationary_pass: Pass | None
    tiling: Tiling
    tiles: NDArray[np.void]
    totals: Table[str, int]
    drain_stall_cycles: int = 0


@cached(256)
def derive_mapping(accelerator: Accelerator, product: Product, batch: int = 1, tiling: Tiling | None = None) -> Mapping:
    """The mapping of `batch` samples of `product`, by the given tiling or the best one.

    The best one has the fewest bits over DRAM, then the fewest cycles, or the other way round, as
    `accelerator.mapping` says; it is found by trying all loop orders with 1, 2, 3, 4, 6, 8, 12 ...
    tiles per dimension. Raises Infeasible when the PE cannot multiply the operands or no tile fits
    the scratchpads, BadInput when the given tiling does not fit. In the profiles with ideal memory a
    layer is one tile.
    """
    rate = accelerator.pe.rate(product.a_bits, product.w_bits)
    passes = derive_pass(accelerator, product, batch) if accelerator.dataflow == "rs" else None
    fold, ports = fold_of(accelerator, product), ports_of(accelerator, product, rate, passes, batch)
    shape, array = _shape(product, batch), _array(accelerator, product, rate, fold, ports, passes)
    if accelerator.timing != "rtl":
        if tiling is not None:
            raise BadInput("tiling", tiling, f"none with timing {accelerator.timing}, where a layer is one tile")
        rows, cols, filters, channels = (
            int(shape[0][name]) for name in ("out_rows", "out_cols", "filters", "channels")
        )
        tiling = Tiling(rows, cols, filters, channels, images=batch)
    elif tiling is None:
        found = tiling_search.search(shape, _at_low_width(accelerator, product, passes, array), MOST_TILES)
        if not found[0]:
            raise Infeasible(_no_tile(accelerator, product))
        images, rows, cols, filters, channels, order = found[1:]
        tiling = Tiling(rows, cols, filters, channels, ORDERS[order], images)
    else:
        _check(tiling, accelerator, shape[0], array[0])
    tiles = np.zeros(_count(tiling, shape[0]), dtype=TILE)
    tiling_search.tiles(shape, array, _record(tiling), tiles)
    drain = ports.drain_cut if tiling.channels < shape[0]["channels"] else ports.drain
    late = accelerator.array.rows * (drain - 1)
    return Mapping(product, batch, rate, fold, ports, passes, tiling, tiles, _totals(tiles, product.groups), late)


def _totals(tiles: NDArray[np.void], groups: int) -> dict[str, int]:
    names = TILE.names or ()
    sums = tiles.view(np.int64).reshape(len(tiles), len(names)).sum(axis=0) * groups
    return dict(zip(names, sums.tolist(), strict=True))


def window_of(product: Product) -> Window:
    """The convolution of a product; a plain product is one of single pixels that stand below each other."""
    return product.window or Window(product.pixels, 1, Geometry())


def _shape(product: Product, batch: int) -> NDArray[np.void]:
    window = window_of(product)
    geometry = window.geometry
    record = np.zeros(1, dtype=SHAPE)
    record[0] = (
        batch,
        *window.output,
        window.height,
        window.width,
        *geometry.stride,
        *(max(d * (k - 1) + 1, g) for d, k, g in zip(geometry.dilation, geometry.kernel, geometry.stride, strict=True)),
        geometry.pads[0],
        geometry.pads[2],
        product.reduction // window.taps,
        window.taps,
        product.filters,
        product.groups,
        product.a_bits,
        product.stored_w_bits,
        product.out_bits,
        -(-product.regions * batch // product.groups),
    )
    return record


def _array(
    accelerator: Accelerator, product: Product, rate: Rate, fold: Fold, ports: Ports, passes: Pass | None
) -> NDArray[np.void]:
    rows, cols = accelerator.array.rows, accelerator.array.cols
    deep = product.reduction  # a grain that nothing exceeds
    grains = {
        "ws": (1, cols, rows * rate.products),
        "os": (rows, cols, deep),
        "is": (cols, product.filters, rows * rate.products),
    }
    m_grain, n_grain, k_grain = (
        (passes.rows, passes.filters, passes.channels) if passes else grains[accelerator.dataflow]
    )
    pads = accelerator.scratchpads
    record = np.zeros(1, dtype=ARRAY)
    record[0] = (
        FLOWS[accelerator.dataflow],
        m_grain,
        n_grain,
        k_grain,
        passes.filter_sets if passes else 1,
        passes.channel_sets if passes else 1,
        rate.products,
        ports.steps,
        0 if fold.period else fold.fill_drain + fold.load * ports.load + ports.pass_load + rows * (ports.drain - 1),
        rows * (ports.drain_cut - ports.drain),
        fold.period and fold.period + fold.load * (ports.load - 1),
        fold.load * ports.load,
        fold.fill_drain,
        pads.ifmap.usable_bits,
        pads.weight.usable_bits,
        pads.ofmap.usable_bits,
        accelerator.psum_bits,
        accelerator.dram.bandwidth_bytes_per_cycle * 8,
        accelerator.dram.latency_cycles,
        accelerator.optimize == "latency",
    )
    return record


def _at_low_width(
    accelerator: Accelerator, product: Product, passes: Pass | None, array: NDArray[np.void]
) -> NDArray[np.void]:
    """The record for the search of tiles: a layer with regions runs mostly at its low width."""
    if product.low_bits is None:
        return array
    narrow = replace(product, a_bits=product.low_bits, w_bits=product.low_bits, low_bits=None)
    low = array.copy()
    low["steps"] = ports_of(accelerator, narrow, accelerator.pe.rate(product.low_bits, product.low_bits), passes).steps
    return low


def _record(tiling: Tiling) -> NDArray[np.void]:
    record = np.zeros(1, dtype=TILING)
    order = ORDERS.index(tiling.order)
    record[0] = (tiling.images, tiling.rows, tiling.cols, tiling.filters, tiling.channels, order)
    return record


def _count(tiling: Tiling, shape: np.void) -> int:
    """Tiles of one group."""
    sizes = (("images", "images"), ("out_rows", "rows"), ("out_cols", "cols"), ("filters",) * 2, ("channels",) * 2)
    count = 1
    for whole, part in sizes:
        count *= -(-int(shape[whole]) // getattr(tiling, part))
    if count > MOST_TILES:
        raise Infeasible(f"{count:,} tiles; scratchpads and tiles must be large enough for at most {MOST_TILES:,}")
    return count


def _check(tiling: Tiling, accelerator: Accelerator, shape: np.void, array: np.void) -> None:
    """Raise BadInput unless every part of a given tiling lies in the layer and fits half of its scratchpad."""
    limits = {"images": "images", "rows": "out_rows", "cols": "out_cols", "filters": "filters", "channels": "channels"}
    for part, whole in limits.items():
        if not 1 <= getattr(tiling, part) <= shape[whole]:
            raise BadInput(f"tiling.{part}", getattr(tiling, part), f"1 to {shape[whole]}")
    if tiling.order not in ORDERS:
        raise BadInput("tiling.order", tiling.order, ", ".join(ORDERS))
    pixels = tiling.images * tiling.rows * tiling.cols
    down = (shape[name] for name in ("stride_h", "span_h", "top", "rows"))
    along = (shape[name] for name in ("stride_w", "span_w", "left", "cols"))
    lines = tiling_search.lines(shape["out_rows"], tiling.rows, *down)[0]
    across = tiling_search.lines(shape["out_cols"], tiling.cols, *along)[0]
    depth = tiling.channels * shape["taps"]
    folded = tiling.channels if accelerator.dataflow == "rs" else depth
    waits = tiling.channels < shape["channels"] or (accelerator.dataflow != "os" and folded > array["k_grain"])
    needs = {
        "ifmap": tiling.images * lines * across * tiling.channels * shape["a_bits"] + shape["mask_bits"],
        "weight": depth * tiling.filters * shape["w_bits"],
        "ofmap": pixels * tiling.filters * (accelerator.psum_bits if waits else shape["out_bits"]),
    }
    for pad, bits in needs.items():
        room = accelerator.scratchpads[pad].usable_bits
        if bits > room:
            raise BadInput(f"tiling: {pad} of one tile", f"{bits} bits", f"{room} bits, half of the scratchpad")


def _no_tile(accelerator: Accelerator, product: Product) -> str:
    sizes = ", ".join(f"{pad} {accelerator.scratchpads[pad].kib} KiB" for pad in ("ifmap", "weight", "ofmap"))
    return (
        f"no tile of {product.reduction // window_of(product).taps} channels and {product.filters} filters fits half "
        f"of the scratchpads ({sizes}); the smallest one is one output pixel, one channel and the filters of one fold"
    )


def map_network(
    network: Network, accelerator: Accelerator, tilings: Table[str, Tiling] | None = None
) -> dict[str, Mapping]:
    """The mapping of every layer with multiplications, by name; `tilings` are those that are given.

    A layer with filters of several widths has one for each, under the labels of `width_groups`.

    Raises Infeasible, naming the layer, unless every layer of `network` can run, BadInput for a tiling
    that does not fit, and UnknownName for one of a layer that is not there.
    """
    mappings = {}
    parts = dict(part for layer in network.layers if layer.has_macs for part in width_groups(layer))
    for name in tilings or {}:
        if name not in parts:
            raise UnknownName("tilings", name, list(parts))
    for name, layer in parts.items():
        check_layer(network, layer, accelerator)
        try:
            mappings[name] = derive_mapping(accelerator, as_product(network, layer), tiling=(tilings or {}).get(name))
        except Infeasible as error:
            raise Infeasible(f"layer {name!r}: {error}") from None
    return mappings


def check_layer(network: Network, layer: Layer, accelerator: Accelerator) -> None:
    """Raise Infeasible, naming the layer, unless the PE multiplies its operands, regions of two precisions included."""
    if layer.region is not None:
        _check_regions(layer.name, accelerator)
    second = layer.weight.format if layer.weight else network.formats[layer.inputs[1]]
    try:
        accelerator.pe.check(network.formats[layer.inputs[0]], second)
    except Infeasible as error:
        raise Infeasible(f"layer {layer.name!r}: {error}") from None


def _check_regions(layer: str, accelerator: Accelerator) -> None:
    if accelerator.dataflow not in ("ws", "os"):
        raise Infeasible(
            f"layer {layer!r} has region precision, which needs dataflow ws or os, not {accelerator.dataflow}; "
            f"accelerators: {', '.join(_accelerators_with_regions())}"
        )
    if not accelerator.pe.regions:
        raise Infeasible(
            f"layer {layer!r} has region precision, but PE {_name(accelerator)!r} has one width per layer; "
            f"PEs that can: {', '.join(_pes_with_regions())}; "
            f"accelerators: {', '.join(_accelerators_with_regions())}"
        )


def _name(accelerator: Accelerator) -> str:
    return str(getattr(accelerator.pe, "name", type(accelerator.pe).__name__))


def _pes_with_regions() -> list[str]:
    return [name for name, record in family("pe").items() if getattr(record.factory, "regions", False)]


def _accelerators_with_regions() -> list[str]:
    able = _pes_with_regions()
    return [name for name, record in family("accelerator").items() if record.defaults.get("pe", {}).get("name") in able]
