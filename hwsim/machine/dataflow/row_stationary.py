"""Row stationary (Eyeriss): which part of a layer the array takes on in one pass.

A PE keeps one kernel row and slides it along one row of the input map: a *set* of kernel rows x output
rows of PEs makes output rows, and several sets stand on the array side by side. A set wider than the
array is folded: its parts stand above each other. Sets work on different filters or on different
channels (whose partial sums they add up); a PE takes turns between several filters and channels, as
many as its memories hold. Names follow the paper's table: e output rows, p and t filters, q and r
channels.

Y.-H. Chen et al., Eyeriss, JSSC 52(1), 2017, section V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.cache import cached
from hwsim.errors import Infeasible
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology.tables import KIB
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, Window


@dataclass(frozen=True)
class Pass:
    """One pass: `rows` output rows, `filters` = p t, `channels` = q r, on `filter_sets` t times `channel_sets` r sets.

    `steps` are the cycles in which a PE makes one partial sum of one filter and channel: `own_steps`, one product for
    each kernel column, or more when the network to the PEs is slower, through `slow`. `weight_load` are the cycles
    in which the pass gets its weights, shared among as many images of a batch as have their partial sums in
    the ofmap scratchpad. `active` PEs are at work.
    """

    rows: int
    filters: int
    channels: int
    filter_sets: int
    channel_sets: int
    own_steps: int
    steps: int
    slow: str
    weight_load: int
    active: int


def derive_pass(accelerator: Accelerator, product: Product, batch: int) -> Pass:
    """The pass with which a layer takes the fewest cycles; among equal ones that with the most output rows, then PEs.

    All numbers of output rows, sets and channels per PE that the memories in the PEs and half of the
    scratchpads hold are tried, each with as many filters per PE as they hold, or these shared out evenly among the
    passes. Raises Infeasible when the kernel has more rows than the array, or when nothing fits.
    """
    local = accelerator.register_file
    assert local is not None
    window = product.window or Window(product.pixels, 1, Geometry())
    kernel_h, kernel_w = window.geometry.kernel
    if kernel_h > accelerator.array.rows:
        raise Infeasible(f"a kernel of {kernel_h} rows on an array of {accelerator.array.rows} rows")
    if kernel_w > min(local.ifmap_words, local.weight_words):
        holds = min(local.ifmap_words, local.weight_words)
        raise Infeasible(f"a kernel of {kernel_w} columns in PEs that hold {holds} words")
    rate = accelerator.pe.rate(product.a_bits, product.w_bits)
    if rate.products != 1:
        raise Infeasible(f"dataflow rs needs a PE with one product at a time, not {rate.products}")
    channels = product.reduction // window.taps
    best: tuple[tuple[int, int, int], Pass] | None = None
    for rows in reversed(_sizes(window.output[0])):
        sets = _sets(accelerator, kernel_h, rows)
        for channel_sets, filter_sets in _shares(sets, channels, product.filters):
            turns = -(-channels // channel_sets) * -(-product.filters // filter_sets)
            if best and -(-window.output[0] // rows) * window.output[1] * turns * kernel_w * rate.interval > best[0][0]:
                continue  # however the turns are shared out among passes
            for q in _sizes(-(-channels // channel_sets)):
                most = _most_filters(accelerator, window, product, rows, q * channel_sets) // filter_sets
                most = min(most, local.psum_words, local.weight_words // (kernel_w * q))
                if q * kernel_w > local.ifmap_words or most < 1:
                    continue
                needed = -(-product.filters // filter_sets)
                for p in {min(most, needed), _even(needed, most)}:
                    one = _one_pass(
                        accelerator, window, rate.interval, rows, (p, filter_sets), (q, channel_sets), batch
                    )
                    value = (_cycles(one, window, product, channels), -rows, -one.active)
                    if best is None or value < best[0]:
                        best = value, one
    if best is None:
        raise Infeasible(f"no pass of a {kernel_h}x{kernel_w} kernel fits the PEs and half of the scratchpads")
    return best[1]


def _shares(sets: int, channels: int, filters: int) -> Iterator[tuple[int, int]]:
    """How so many sets can be shared out: (sets on different channels, sets on different filters)."""
    for channel_sets in reversed(_sizes(channels)):
        for filter_sets in reversed(_sizes(filters)):
            if channel_sets * filter_sets <= sets:
                yield channel_sets, filter_sets


def _even(total: int, most: int) -> int:
    """The smallest size that cuts `total` into as few blocks as `most` does."""
    return -(-total // -(-total // most))


def _most_filters(accelerator: Accelerator, window: Window, product: Product, rows: int, channels: int) -> int:
    """Filters of a pass of so many output rows and channels of which half of each scratchpad holds its part."""
    pads = accelerator.scratchpads
    if window.input_rows(rows) * window.width * channels * product.a_bits > pads.ifmap.usable_bits:
        return 0
    weights = pads.weight.usable_bits // (window.taps * channels * product.w_bits)
    return min(weights, pads.ofmap.usable_bits // (rows * window.output[1] * accelerator.psum_bits))


def _sets(accelerator: Accelerator, kernel_rows: int, rows: int) -> int:
    """How many sets stand on the array."""
    above, cols = accelerator.array.rows // kernel_rows, accelerator.array.cols
    return above * (cols // rows) if rows <= cols else above // -(-rows // cols)


def _one_pass(
    accelerator: Accelerator,
    window: Window,
    product_steps: int,
    rows: int,
    filters: tuple[int, int],
    channels: tuple[int, int],
    batch: int,
) -> Pass:
    local = accelerator.register_file
    assert local is not None
    (p, t), (q, r) = filters, channels
    (kernel_h, kernel_w), stride_w = window.geometry.kernel, window.geometry.stride[1]
    inputs = window.input_rows(rows) * stride_w * q * r  # words for one output column
    sums = rows * p * t
    need = {
        "ifmap": -(-inputs // (local.ifmap_words_per_cycle * p * q)),
        "ofmap": -(-sums // (local.psum_words_per_cycle * p * q)),
    }
    own = kernel_w * product_steps
    steps = max(own, *need.values())
    slow = next((pad for pad, cycles in need.items() if cycles == steps > own), "")
    weights = kernel_h * kernel_w * p * t * q * r
    together = accelerator.scratchpads.ofmap.kib * KIB * 8 // (sums * window.output[1] * accelerator.psum_bits)
    load = -(-weights // (local.weight_words_per_cycle * max(1, min(batch, together))))
    return Pass(rows, p * t, q * r, t, r, own, steps, slow, load, min(accelerator.pes, kernel_h * rows * t * r))


def _cycles(one: Pass, window: Window, product: Product, channels: int) -> int:
    """Cycles of one image's group: every pass streams, and gets its weights."""
    (out_rows, out_cols) = window.output
    down, n_full, n_rest = -(-out_rows // one.rows), product.filters // one.filters, product.filters % one.filters
    k_full, k_rest = channels // one.channels, channels % one.channels
    turns = n_full * (one.filters // one.filter_sets) + -(-n_rest // one.filter_sets)
    turns *= k_full * (one.channels // one.channel_sets) + -(-k_rest // one.channel_sets)
    passes = down * (n_full + (n_rest > 0)) * (k_full + (k_rest > 0))
    return down * out_cols * turns * one.steps + passes * one.weight_load


@cached(4096)
def _sizes(total: int) -> tuple[int, ...]:
    """Block sizes that cut `total` into different numbers of blocks."""
    return tuple(sorted({-(-total // blocks) for blocks in range(1, total + 1)}))
