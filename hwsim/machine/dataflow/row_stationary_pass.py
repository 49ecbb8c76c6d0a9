"""Row-stationary pass: the part of a layer that a row-stationary array computes at a time.

A PE stores one kernel row and slides it along one row of the input map. A *set* of kernel rows x output
rows of PEs computes output rows, and several sets share the array. A set wider than the array is folded:
its parts are placed above each other. Sets work on different filters or on different channels, whose
partial sums are added up. A PE alternates between as many filters and channels as its memories hold.
Symbols are those of the paper's table: e output rows, p and t filters, q and r channels.

Y.-H. Chen et al., Eyeriss, JSSC 52(1), 2017, section V.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsim.arithmetic import ceil_div
from hwsim.cache import cached
from hwsim.errors import Infeasible
from hwsim.machine.dataflow.hardware import Hardware
from hwsim.network.product import Product, Window


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes
    ----------
    rows : output rows, e
    filters, channels : filters p t, and channels q r
    filter_sets, channel_sets : sets on different filters, t, and on different channels, r
    own_cycles : cycles in which a PE computes one partial sum of one filter and channel: one product for each
        kernel column
    wavefront_cycles : own_cycles, or more where the network to the PEs is slower
    limited_by : the scratchpad whose network is slower, "" where none is
    weight_load : cycles in which the pass gets its weights, shared among as many samples of a batch as have
        their partial sums in half of the ofmap scratchpad, where tiles have theirs
    active_pes : PEs that compute
    """

    rows: int
    filters: int
    channels: int
    filter_sets: int
    channel_sets: int
    own_cycles: int
    wavefront_cycles: int
    limited_by: str
    weight_load: int
    active_pes: int


def derive_pass(hardware: Hardware, product: Product, batch: int) -> Pass:
    """Search the pass with which a layer takes the fewest cycles, then has the most output rows, then the most PEs.

    All numbers of output rows, sets and channels per PE that fit the memories in the PEs and half of the
    scratchpads are tried, each with the most filters per PE that fit, and with the filters distributed evenly
    over the passes. Raises Infeasible when the kernel has more rows than the array, or when nothing fits.
    """
    words = hardware.register_file
    assert words is not None
    window = product.convolution
    kernel_h, kernel_w = window.geometry.kernel
    if kernel_h > hardware.array.rows:
        raise Infeasible(f"a kernel of {kernel_h} rows on an array of {hardware.array.rows} rows")
    if kernel_w > min(words.ifmap_words, words.weight_words):
        holds = min(words.ifmap_words, words.weight_words)
        raise Infeasible(f"a kernel of {kernel_w} columns in PEs that hold {holds} words")
    rate = hardware.pe.rate(product.a_bits, product.w_bits)
    if rate.products != 1:
        raise Infeasible(f"dataflow rs needs a PE with one product at a time, not {rate.products}")
    channels = product.reduction // window.taps
    best: tuple[tuple[int, int, int], Pass] | None = None
    for rows in reversed(_sizes(window.output[0])):
        sets = _sets(hardware, kernel_h, rows)
        for channel_sets, filter_sets in _shares(sets, channels, product.filters):
            turns = ceil_div(channels, channel_sets) * ceil_div(product.filters, filter_sets)
            if (
                best
                and ceil_div(window.output[0], rows) * window.output[1] * turns * kernel_w * rate.interval > best[0][0]
            ):
                continue  # however the turns are distributed over passes
            for q in _sizes(ceil_div(channels, channel_sets)):
                largest = _max_filters(hardware, window, product, rows, q * channel_sets) // filter_sets
                largest = min(largest, words.psum_words, words.weight_words // (kernel_w * q))
                if q * kernel_w > words.ifmap_words or largest < 1:
                    continue
                needed = ceil_div(product.filters, filter_sets)
                for p in {min(largest, needed), _even(needed, largest)}:
                    one = _one_pass(hardware, window, rate.interval, rows, (p, filter_sets), (q, channel_sets), batch)
                    value = (_cycles(one, window, product, channels), -rows, -one.active_pes)
                    if best is None or value < best[0]:
                        best = value, one
    if best is None:
        raise Infeasible(f"no pass of a {kernel_h}x{kernel_w} kernel fits the PEs and half of the scratchpads")
    return best[1]


def _shares(sets: int, channels: int, filters: int) -> Iterator[tuple[int, int]]:
    """Yield the ways of distributing sets: (sets on different channels, sets on different filters)."""
    for channel_sets in reversed(_sizes(channels)):
        for filter_sets in reversed(_sizes(filters)):
            if channel_sets * filter_sets <= sets:
                yield channel_sets, filter_sets


def _even(total: int, largest: int) -> int:
    """Return the smallest size that cuts `total` into as few blocks as `largest` does."""
    return ceil_div(total, ceil_div(total, largest))


def _max_filters(hardware: Hardware, window: Window, product: Product, rows: int, channels: int) -> int:
    """Count the filters of a pass of `rows` output rows and `channels` that fit half of each scratchpad."""
    pads = hardware.scratchpads
    if window.input_rows(rows) * window.width * channels * product.a_bits > pads.ifmap.usable_bits:
        return 0
    weights = pads.weight.usable_bits // (window.taps * channels * product.w_bits)
    return min(weights, pads.ofmap.usable_bits // (rows * window.output[1] * hardware.psum_bits))


def _sets(hardware: Hardware, kernel_rows: int, rows: int) -> int:
    """Count the sets that fit on the array."""
    above, cols = hardware.array.rows // kernel_rows, hardware.array.cols
    return above * (cols // rows) if rows <= cols else above // ceil_div(rows, cols)


def _one_pass(
    hardware: Hardware,
    window: Window,
    product_cycles: int,
    rows: int,
    filters: tuple[int, int],
    channels: tuple[int, int],
    batch: int,
) -> Pass:
    """Describe the pass with `filters` (p, t) and `channels` (q, r); a product takes `product_cycles`."""
    words = hardware.register_file
    assert words is not None
    (p, t), (q, r) = filters, channels
    (kernel_h, kernel_w), stride_w = window.geometry.kernel, window.geometry.stride[1]
    inputs = window.input_rows(rows) * stride_w * q * r  # words for one output column
    sums = rows * p * t
    need = {
        "ifmap": ceil_div(inputs, words.ifmap_words_per_cycle * p * q),
        "ofmap": ceil_div(sums, words.psum_words_per_cycle * p * q),
    }
    own = kernel_w * product_cycles
    wavefront = max(own, *need.values())
    limited_by = next((pad for pad, cycles in need.items() if cycles == wavefront > own), "")
    weights = kernel_h * kernel_w * p * t * q * r
    together = hardware.scratchpads.ofmap.usable_bits // (sums * window.output[1] * hardware.psum_bits)
    load = ceil_div(weights, words.weight_words_per_cycle * max(1, min(batch, together)))
    return Pass(
        rows,
        filters=p * t,
        channels=q * r,
        filter_sets=t,
        channel_sets=r,
        own_cycles=own,
        wavefront_cycles=wavefront,
        limited_by=limited_by,
        weight_load=load,
        active_pes=min(hardware.array.rows * hardware.array.cols, kernel_h * rows * t * r),
    )


def _cycles(one: Pass, window: Window, product: Product, channels: int) -> int:
    """Count the cycles of one group of one sample: streaming and weight load of every pass."""
    (out_rows, out_cols) = window.output
    down, n_full, n_rest = ceil_div(out_rows, one.rows), product.filters // one.filters, product.filters % one.filters
    k_full, k_rest = channels // one.channels, channels % one.channels
    turns = n_full * (one.filters // one.filter_sets) + ceil_div(n_rest, one.filter_sets)
    turns *= k_full * (one.channels // one.channel_sets) + ceil_div(k_rest, one.channel_sets)
    passes = down * (n_full + (n_rest > 0)) * (k_full + (k_rest > 0))
    return down * out_cols * turns * one.wavefront_cycles + passes * one.weight_load


@cached(4096)
def _sizes(total: int) -> tuple[int, ...]:
    """List the block sizes that cut `total` into different numbers of blocks, smallest first."""
    sizes = [total]
    while sizes[-1] > 1:
        sizes.append(ceil_div(total, ceil_div(total, sizes[-1] - 1)))
    return tuple(reversed(sizes))
