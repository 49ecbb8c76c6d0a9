"""Tilings: the best one, a given one, and what is told when nothing fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput, Infeasible, UnknownName
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.canonical import canonical
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.timing.mapped_layers import map_layers
from hwsim.machine.timing.traffic import product_traffic
from hwsim.network.layer import Geometry, Region
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from tests.support.machines import machines, make, mapping_of, products
from tests.support.small_network import small_network
from tests.support.tile_walk import lines_read

RUN: dict[str, Any] = {"deadline": None, "derandomize": True}
TINY = build("accelerator", "tiny")  # 4x4, ws, half of each scratchpad holds 8192 bits


def dram_bits(accelerator: Accelerator, mapping: Mapping) -> int:
    traffic = product_traffic(accelerator, mapping)
    return traffic.dram_read_bits + traffic.dram_write_bits


@settings(max_examples=150, **RUN)
@given(machines(), products(), st.integers(1, 3))
def test_the_best_tiling_given_back_is_honored(parameters: dict[str, Any], product: Product, batch: int) -> None:
    accelerator = make(parameters)
    try:
        best = derive_mapping(accelerator, product, batch)
    except Infeasible:
        return
    again = derive_mapping(accelerator, product, batch, best.tiling)
    assert again.tiling == best.tiling
    np.testing.assert_array_equal(again.tiles, best.tiles)


@settings(max_examples=150, **RUN)
@given(st.data(), machines(), products(), st.integers(1, 3))
def test_a_given_tiling_fits_or_is_refused(
    data: st.DataObject, parameters: dict[str, Any], product: Product, batch: int
) -> None:
    """No tile of an accepted tiling is larger than half a scratchpad; nothing that fits is refused."""
    accelerator = make(parameters)
    product, _ = canonical(product, batch, accelerator.dataflow.needs_rows)
    window = product.convolution
    (out_rows, out_cols), channels = window.output, product.reduction // window.taps
    limits = {"images": batch, "rows": out_rows, "cols": out_cols, "filters": product.filters, "channels": channels}
    sizes = {name: data.draw(st.integers(1, limit)) for name, limit in limits.items()}
    tiling = Tiling(**sizes, order=data.draw(st.sampled_from(["mnk", "knm", "nkm"])))
    stride, (top, _, left, _) = window.geometry.stride, window.geometry.pads
    span = [d * (k - 1) + 1 for d, k in zip(window.geometry.dilation, window.geometry.kernel, strict=True)]
    lines = max(
        lines_read(range(first, min(first + tiling.rows, out_rows)), stride[0], span[0], top, window.height)
        for first in range(0, out_rows, tiling.rows)
    )
    across = max(
        lines_read(range(first, min(first + tiling.cols, out_cols)), stride[1], span[1], left, window.width)
        for first in range(0, out_cols, tiling.cols)
    )
    ifmap = tiling.images * lines * across * tiling.channels * product.a_bits
    weight = tiling.channels * window.taps * tiling.filters * product.w_bits
    outputs = tiling.images * tiling.rows * tiling.cols * tiling.filters
    room = {pad: accelerator.scratchpads[pad].usable_bits for pad in ("ifmap", "weight", "ofmap")}
    try:
        mapping = derive_mapping(accelerator, product, batch, tiling)
    except BadInput:
        most = max(accelerator.psum_bits, product.out_bits)
        assert ifmap > room["ifmap"] or weight > room["weight"] or outputs * most > room["ofmap"]
    except Infeasible:
        assert accelerator.dataflow.name == "rs"
    else:
        assert ifmap <= room["ifmap"] and weight <= room["weight"]
        psums_wait = (mapping.tiles["ofmap_writes"].sum() * product.groups) > outputs_of(product, batch)
        assert outputs * (accelerator.psum_bits if psums_wait else product.out_bits) <= room["ofmap"]


def outputs_of(product: Product, batch: int) -> int:
    return product.pixels * product.filters * product.groups * batch


CONV = conv_product(4, 8, 8, 8, Geometry((3, 3), padding=(1, 1)))
GIVEN = Tiling(rows=4, cols=8, filters=4, channels=4)

WRONG = [
    ({"rows": 0}, "tiling.rows: got 0; allowed: 1 to 8"),
    ({"rows": 9}, "tiling.rows: got 9; allowed: 1 to 8"),
    ({"cols": 9}, "tiling.cols: got 9; allowed: 1 to 8"),
    ({"filters": 9}, "tiling.filters: got 9; allowed: 1 to 8"),
    ({"channels": 5}, "tiling.channels: got 5; allowed: 1 to 4"),
    ({"images": 2}, "tiling.images: got 2; allowed: 1 to 1"),
    ({"order": "mn"}, "tiling.order: got mn; allowed: mnk, mkn, nmk, nkm, kmn, knm"),
    (
        {"rows": 8, "filters": 8},
        "tiling: ofmap of one tile: got 16384 bits; allowed: 8192 bits, half of the scratchpad",
    ),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_tiling_is_told_the_place(change: dict[str, Any], message: str) -> None:
    assert len(derive_mapping(TINY, CONV, 1, GIVEN).tiles) == 4
    with pytest.raises(BadInput) as caught:
        derive_mapping(TINY, CONV, 1, replace(GIVEN, **change))
    assert str(caught.value) == message


def test_a_map_or_weights_that_do_not_fit_are_refused() -> None:
    wide = conv_product(16, 8, 12, 12, Geometry((3, 3), padding=(1, 1)))
    with pytest.raises(BadInput, match=r"tiling: ifmap of one tile: got 18432 bits; allowed: 8192 bits"):
        derive_mapping(TINY, wide, 1, Tiling(12, 12, 1, 16))
    with pytest.raises(BadInput, match=r"tiling: weight of one tile: got 9216 bits; allowed: 8192 bits"):
        derive_mapping(TINY, wide, 1, Tiling(1, 1, 8, 16))


def test_padding_takes_no_room() -> None:
    """The upper half of the map and the halo of one row below it: 5 rows of 8 codes, not 6."""
    product = conv_product(20, 4, 8, 10, Geometry((3, 3), padding=(1, 1)))
    tight = build("accelerator", "tiny", scratchpads={"ofmap": {"kib": 64}, "weight": {"kib": 64}})
    mapping = derive_mapping(tight, product, 1, Tiling(4, 10, 4, 20))  # 5 x 10 x 20 x 8 = 8000 bits
    assert mapping.tiles["ifmap_fetch"].tolist() == [8000, 8000]


def test_the_profiles_with_ideal_memory_have_one_tile() -> None:
    ideal = build("accelerator", "tiny", timing="scalesim")
    large = Product(10_000, 1000, 100)
    assert derive_mapping(ideal, large).tiling == Tiling(10_000, 1, 100, 1000)
    with pytest.raises(BadInput, match=r"tiling: got .*; allowed: none with timing scalesim"):
        derive_mapping(ideal, large, 1, Tiling(1, 1, 1, 1))


def test_a_layer_that_does_not_fit_is_told_the_sizes() -> None:
    wide = make({"pe": {"name": "fixed", "max_bits": 16}})
    product = replace(conv_product(1, 20, 32, 32, Geometry((11, 11))), w_bits=16)
    assert derive_mapping(wide, product).tiling.filters == 4  # 121 weights of 16 bits for 4 filters: 7744 bits
    finer = derive_mapping(wide, replace(conv_product(1, 20, 32, 32, Geometry((12, 12))), w_bits=16))
    assert finer.tiling.filters < 4  # fewer filters than a fold has
    with pytest.raises(Infeasible) as caught:
        derive_mapping(wide, replace(conv_product(1, 20, 32, 32, Geometry((23, 23))), w_bits=16))
    assert str(caught.value) == (
        "no tile of 1 channels and 20 filters fits half of the scratchpads (ifmap 2 KiB, weight 2 KiB, ofmap 2 KiB); "
        "the smallest one, one output pixel, one channel and one filter of a 23x23 kernel, needs 8,464 bits of weight"
    )


def test_too_many_tiles_are_refused() -> None:
    with pytest.raises(Infeasible, match=r"2,250,000 tiles; .* at most 2,097,152"):
        derive_mapping(TINY, Product(1500, 1500, 1), 1, Tiling(1, 1, 1, 1))


# A whole network.


def test_every_layer_with_multiplications_gets_a_mapping() -> None:
    network = small_network()
    assert [m.name for m in map_layers(network, TINY) if m.mapping] == ["conv", "head"]
    given = Tiling(rows=1, cols=8, filters=8, channels=1, order="mnk")
    assert mapping_of(map_layers(network, TINY, tilings={"conv": given}), "conv").tiling == given
    with pytest.raises(UnknownName, match=r"tilings: got pool; allowed: conv, head"):
        map_layers(network, TINY, tilings={"pool": given})


def test_a_layer_that_cannot_run_is_named() -> None:
    narrow = build("accelerator", "tiny", pe={"name": "fixed", "max_bits": 4})
    with pytest.raises(Infeasible, match=r"^layer 'conv': PE 'fixed' multiplies 1 to 4 bits"):
        map_layers(small_network(w_bits=4), narrow)


def test_region_precision_needs_a_pe_and_a_dataflow_that_have_it() -> None:
    network = small_network(Region(2, 2, 100, np.zeros((8, 1, 3, 3), np.int8)))
    with pytest.raises(Infeasible, match=r"^layer 'conv' has region precision, but PE 'fixed' has one width per layer"):
        map_layers(network, TINY)
    still = build("accelerator", "tiny", pe={"name": "drq"}, dataflow="is")
    with pytest.raises(Infeasible, match=r"^layer 'conv' has region precision, which needs dataflow os or ws, not is"):
        map_layers(network, still)
