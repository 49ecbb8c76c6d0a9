"""Row stationary: passes against a search that lists them one by one, and against the chip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.machine.dataflow.row_stationary_pass import derive_pass
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.layer_counts import product_layer
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.traffic import product_traffic
from hwsim.network.layer import Geometry
from hwsim.network.product import Product, conv_product
from tests.support.machines import convolutions, eyeriss, make
from tests.support.tile_walk import blocks

# Y.-H. Chen et al., JSSC 2017: AlexNet at batch 4 on Eyeriss, 200 MHz. Active PEs, milliseconds in which the array
# works, MB over the global buffer. Via cucapra/fodlam (an OCR of the paper's table); in these three columns one
# cell was mended by the column's sum (21.8 ms).
CHIP = {
    "CONV1": (154, 16.5, 18.5),
    "CONV2": (135, 39.2, 77.6),
    "CONV3": (156, 21.8, 50.2),
    "CONV4": (156, 16.0, 37.4),
    "CONV5": (156, 10.0, 24.9),
}


def alexnet() -> dict[str, Product]:
    layers = {
        "CONV1": conv_product(3, 96, 227, 227, Geometry((11, 11), (4, 4))),
        "CONV2": conv_product(96, 256, 27, 27, Geometry((5, 5), padding=(2, 2), groups=2)),
        "CONV3": conv_product(256, 384, 13, 13, Geometry((3, 3), padding=(1, 1))),
        "CONV4": conv_product(384, 384, 13, 13, Geometry((3, 3), padding=(1, 1), groups=2)),
        "CONV5": conv_product(384, 256, 13, 13, Geometry((3, 3), padding=(1, 1), groups=2)),
    }
    return {name: replace(one, a_bits=16, w_bits=16, out_bits=16) for name, one in layers.items()}


@pytest.mark.parametrize("layer", CHIP)
def test_as_many_pes_work_as_on_the_chip(layer: str) -> None:
    """CONV2: half of the ofmap pad holds the sums of one image, so that a pass of 14 rows loads its weights sooner."""
    expected = 140 if layer == "CONV2" else CHIP[layer][0]
    assert derive_pass(eyeriss(), alexnet()[layer], batch=4).active_pes == expected


@pytest.mark.parametrize("layer", CHIP)
def test_time_and_buffer_traffic_are_near_the_chip(layer: str) -> None:
    """The array works as long as on the chip within 15 %, and moves as many bytes within 30 %, never more."""
    accelerator = eyeriss()
    mapping = derive_mapping(accelerator, alexnet()[layer], 4)
    _, milliseconds, megabytes = CHIP[layer]
    assert time_layer(accelerator, mapping).array_cycles[0] / 200e3 == pytest.approx(milliseconds, rel=0.15)
    traffic = product_traffic(accelerator, mapping)
    moved = (traffic.ifmap_read_bits + traffic.ofmap_read_bits + traffic.ofmap_write_bits) / 8e6
    assert 0.7 * megabytes < moved < 1.01 * megabytes


# One pass after the other.


def passes_by_hand(accelerator: Accelerator, product: Product) -> Iterator[tuple[int, tuple[int, int, int, int, int]]]:
    """Cycles of one image of one group, and (rows, t, p, r, q), for everything that fits."""
    local, pads, window = accelerator.register_file, accelerator.scratchpads, product.convolution
    assert local is not None
    (kernel_h, kernel_w), (out_rows, out_cols) = window.geometry.kernel, window.output
    channels = product.reduction // window.taps
    for rows in range(1, out_rows + 1):
        above, cols = accelerator.array.rows // kernel_h, accelerator.array.cols
        sets = above * (cols // rows) if rows <= cols else above // len(blocks(rows, cols))
        for r in range(1, min(sets, channels) + 1):
            for t in range(1, min(sets // r, product.filters) + 1):
                for q in range(1, min(local.ifmap_words // kernel_w, -(-channels // r)) + 1):
                    held = min(local.psum_words, local.weight_words // (kernel_w * q), -(-product.filters // t))
                    for p in range(1, held + 1):
                        ifmap = window.input_rows(rows) * window.width * q * r * product.a_bits
                        weight = window.taps * p * t * q * r * product.w_bits
                        ofmap = rows * out_cols * p * t * accelerator.psum_bits
                        needed = zip((ifmap, weight, ofmap), (pads.ifmap, pads.weight, pads.ofmap), strict=True)
                        if all(bits <= pad.usable_bits for bits, pad in needed):
                            yield cycles_by_hand(accelerator, product, rows, t, p, r, q), (rows, t, p, r, q)


def cycles_by_hand(accelerator: Accelerator, product: Product, rows: int, t: int, p: int, r: int, q: int) -> int:
    local, window = accelerator.register_file, product.convolution
    assert local is not None
    (kernel_h, kernel_w), (out_rows, out_cols) = window.geometry.kernel, window.output
    inputs = window.input_rows(rows) * window.geometry.stride[1] * q * r  # for one output column, in p q turns
    turn = max(
        kernel_w * accelerator.pe.rate(product.a_bits, product.w_bits).interval,
        -(-inputs // (local.ifmap_words_per_cycle * p * q)),
        -(-rows * p * t // (local.psum_words_per_cycle * p * q)),
    )
    load = -(-kernel_h * kernel_w * p * t * q * r // local.weight_words_per_cycle)
    total = 0
    for _ in blocks(out_rows, rows):
        for n in blocks(product.filters, p * t):
            for k in blocks(product.reduction // window.taps, q * r):
                total += out_cols * len(blocks(len(n), t)) * len(blocks(len(k), r)) * turn + load
    return total


@st.composite
def small_arrays(draw: st.DrawFn) -> dict[str, Any]:
    local = {
        "ifmap_words": draw(st.integers(2, 9)),
        "weight_words": draw(st.integers(2, 20)),
        "psum_words": draw(st.integers(1, 4)),
        "ifmap_words_per_cycle": draw(st.integers(1, 2)),
        "weight_words_per_cycle": draw(st.integers(1, 2)),
        "psum_words_per_cycle": draw(st.integers(1, 2)),
    }
    pads = {pad: {"kib": draw(st.sampled_from([1, 1, 8]))} for pad in ("ifmap", "weight", "ofmap")}
    rows, cols = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    return {"dataflow": "rs", "array": {"rows": rows, "cols": cols}, "register_file": local, "scratchpads": pads}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(small_arrays(), convolutions(most=5))
def test_the_pass_is_the_best_of_all(parameters: dict[str, Any], product: Product) -> None:
    accelerator = make(parameters)
    tried = list(passes_by_hand(accelerator, product))
    if not tried:
        with pytest.raises(Infeasible):
            derive_pass(accelerator, product, 1)
        return
    one = derive_pass(accelerator, product, 1)
    p, q = one.filters // one.filter_sets, one.channels // one.channel_sets
    chosen = (one.rows, one.filter_sets, p, one.channel_sets, q)
    cycles = {sizes: spent for spent, sizes in tried}
    assert chosen in cycles  # it fits
    # of the filters per PE only the most that fit are tried, shared out evenly
    most: dict[tuple[int, ...], int] = {}
    for _, (rows, t, filters, r, channels) in tried:
        most[rows, t, r, channels] = max(filters, most.get((rows, t, r, channels), 0))
    best = min(spent for spent, (rows, t, filters, r, channels) in tried if filters == most[rows, t, r, channels])
    assert cycles[chosen] <= best


@settings(max_examples=150, deadline=None, derandomize=True)
@given(small_arrays(), convolutions(most=8), st.integers(1, 3))
def test_a_layer_takes_the_cycles_of_its_passes(parameters: dict[str, Any], product: Product, batch: int) -> None:
    accelerator = make(parameters)
    try:
        mapping = derive_mapping(accelerator, product, batch)
    except Infeasible:
        return
    one, timing = mapping.row_stationary_pass, time_layer(accelerator, mapping)
    assert one is not None
    product, tiling = mapping.product, mapping.tiling
    window = product.convolution
    assert tiling.rows % one.rows == 0 or tiling.rows == window.output[0]  # whole passes
    turns = passes = 0
    for rows in blocks(window.output[0], tiling.rows):
        for filters in blocks(product.filters, tiling.filters):
            for channels in blocks(product.reduction // window.taps, tiling.channels):
                for _ in blocks(len(rows), one.rows):
                    for n in blocks(len(filters), one.filters):
                        for k in blocks(len(channels), one.channels):
                            turns += len(blocks(len(n), one.filter_sets)) * len(blocks(len(k), one.channel_sets))
                            passes += 1
    turns, passes = (count * product.groups * batch for count in (turns, passes))
    cols = window.output[1]
    assert timing.cause("compute").tolist() == [turns * cols * one.own_cycles]
    stalls = timing.cause("stall_ifmap_port") + timing.cause("stall_ofmap_port")
    assert stalls.tolist() == [turns * cols * (one.wavefront_cycles - one.own_cycles)]
    assert timing.cause("weight_load").tolist() == [passes * one.weight_load]
    climb = min(window.geometry.kernel[0], accelerator.array.rows) * (
        accelerator.array.rows // window.geometry.kernel[0]
    )
    assert timing.cause("fill_drain").tolist() == [passes * climb]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(small_arrays(), convolutions(most=8), st.integers(1, 3))
def test_every_product_is_made_once_by_an_active_pe(parameters: dict[str, Any], product: Product, batch: int) -> None:
    accelerator = make(parameters)
    try:
        mapping = derive_mapping(accelerator, product, batch)
    except Infeasible:
        return
    assert mapping.row_stationary_pass is not None
    cycles, counts = product_layer(accelerator, mapping)
    assert counts["macs_full"] == counts["pe_busy_cycles"] == product.macs * batch
    assert counts["rf_accesses"] == 4 * product.macs * batch
    compute = int(np.asarray(cycles["compute"]).item())
    assert 1 <= mapping.row_stationary_pass.active_pes <= accelerator.pes
    assert compute * mapping.row_stationary_pass.active_pes >= product.macs * batch


def test_a_batch_shares_the_weights_of_a_pass() -> None:
    product = alexnet()["CONV3"]
    one, four = (derive_pass(eyeriss(), product, batch) for batch in (1, 4))
    assert (one.filters, one.channels) == (four.filters, four.channels)
    assert four.weight_load == -(-one.weight_load // 4)  # the partial sums of all four images fit


WRONG = [
    ({"array": {"rows": 4}}, 5, r"^a kernel of 5 rows on an array of 4 rows$"),
    ({"register_file": {"ifmap_words": 4}}, 5, r"^a kernel of 5 columns in PEs that hold 4 words$"),
    ({"pe": {"name": "fused"}}, 3, r"^dataflow rs needs a PE with one product at a time, not 16$"),
    (
        {"scratchpads": {"ifmap": {"kib": 1}}},
        11,
        r"^no pass of a 11x11 kernel fits the PEs and half of the scratchpads$",
    ),
]


@pytest.mark.parametrize(("change", "kernel", "message"), WRONG)
def test_what_cannot_run_is_told_why(change: dict[str, Any], kernel: int, message: str) -> None:
    product = replace(conv_product(3, 8, 16, 512, Geometry((kernel, kernel))), a_bits=2, w_bits=2)
    with pytest.raises(Infeasible, match=message):
        derive_pass(eyeriss(**change), product, 1)
