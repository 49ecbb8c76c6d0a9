"""Equal products take equal cycles, however they are written; samples share weights and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.formats import Format, QTensor
from hwsim.interop.topology.builtin import load_workload
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.layer_report import layer_reports
from hwsim.machine.mapping.canonical import canonical
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.timing.data_dependent import value_dynamic
from hwsim.machine.timing.layer_counts import product_layer
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.mapped_layers import map_layers
from hwsim.machine.trace.timeline import timeline
from hwsim.network.layer import Geometry, Layer, Op
from hwsim.network.product import Product, as_product, conv_product
from hwsim.registry import build
from tests.support.attention import attention_block
from tests.support.machines import Draw, Parameters, machines, make, products

RUN: dict[str, Any] = {"deadline": None, "derandomize": True}
TIMINGS = st.sampled_from(["rtl", "rtl", "scalesim"])


def counted(accelerator: Accelerator, product: Product, batch: int) -> list[Any] | str:
    """All cycles and counts of a layer; the reason where it cannot run."""
    try:
        mapping = derive_mapping(accelerator, product, batch)
    except Infeasible as error:
        return str(error)
    cycles, counts = product_layer(accelerator, mapping)
    return [*((name, np.asarray(value).tolist()) for name, value in (*cycles.items(), *counts.items()))]


@st.composite
def spellings(draw: Draw) -> list[Product]:
    """One plain product [rows x cols, taps x channels] and convolutions that are the same product."""
    rows, cols, channels, filters = (draw(st.integers(1, 12)) for _ in range(4))
    high, wide, groups = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    m, k = rows * cols, high * wide * channels
    c, n = groups * channels, groups * filters
    found = [
        Product(m, k, filters, groups, groups * m * k),
        conv_product(groups * k, n, rows, cols, Geometry(groups=groups)),  # 1x1
        conv_product(groups * k, n, cols, rows, Geometry(groups=groups, dilation=(3, 2))),
        conv_product(c, n, rows * high, cols * wide, Geometry((high, wide), (high, wide), groups=groups)),  # patches
        conv_product(groups, n, m, k, Geometry((1, k), groups=groups)),  # the kernel covers the rows
        conv_product(c, n, m, high * wide, Geometry((1, high * wide), (1, 5), groups=groups)),
        conv_product(c, n, high * wide, m, Geometry((high * wide, 1), (2, 1), groups=groups)),
    ]
    if m == 1:
        found.append(conv_product(c, n, high, wide, Geometry((high, wide), (3, 1), groups=groups)))  # the whole map
    return found


@settings(max_examples=120, **RUN)
@given(machines(), spellings(), st.integers(1, 3), TIMINGS)
def test_one_product_has_one_answer(parameters: Parameters, written: list[Product], batch: int, timing: str) -> None:
    flow = parameters["dataflow"]
    accelerator = make(parameters, timing="rtl" if flow == "rs" else timing)
    answers = [counted(accelerator, product, batch) for product in written]
    assert all(answer == answers[0] for answer in answers)


def test_a_gemm_as_a_convolution_that_covers_its_rows() -> None:
    """1025 taps of one channel fit no tile as a convolution of one channel; as a product they take 7,810 cycles."""
    tpu = build("accelerator", "tpu_like")
    for product in (conv_product(1, 64, 16, 1025, Geometry((1, 1025))), Product(16, 1025, 64)):
        assert int(time_layer(tpu, derive_mapping(tpu, product)).total[0]) == 7810


def test_windows_that_overlap_or_reach_into_padding_stay_convolutions() -> None:
    kept = [
        conv_product(3, 4, 8, 8, Geometry((3, 3))),
        conv_product(3, 4, 3, 3, Geometry((3, 3), padding=(1, 1))),
        conv_product(3, 4, 8, 8, Geometry((1, 1), (2, 2))),
        conv_product(3, 4, 8, 8, Geometry((2, 2), (2, 2), dilation=(2, 2))),
        replace(conv_product(3, 4, 8, 8), low_bits=4, regions=4),
    ]
    for product in kept:
        assert canonical(product, 2) == (product, 2)


def test_a_kernel_that_covers_a_row_and_slides_down_has_the_columns_as_channels() -> None:
    product, _ = canonical(conv_product(2, 4, 9, 5, Geometry((3, 5), (2, 1), padding=(1, 0))), 1)
    window = product.window
    assert window is not None
    assert (window.height, window.width, window.geometry.kernel) == (9, 1, (3, 1))
    assert product.reduction // window.taps == 10


# The second operand


@settings(max_examples=80, **RUN)
@given(machines(), products(), st.integers(2, 5), TIMINGS)
def test_a_batch_of_activations_is_as_many_products(
    parameters: Parameters, product: Product, batch: int, timing: str
) -> None:
    accelerator = make(parameters, timing="rtl" if parameters["dataflow"] == "rs" else timing)
    product = replace(product, second_is_weight=False)
    many = replace(product, groups=product.groups * batch)
    assert counted(accelerator, product, batch) == counted(accelerator, many, 1)


@settings(max_examples=80, **RUN)
@given(machines(), products(), st.integers(2, 5))
def test_activations_cost_the_bits_of_every_sample(parameters: Parameters, product: Product, batch: int) -> None:
    """N times the bits of one sample over DRAM and from every scratchpad, with the same tiles."""
    accelerator = make(parameters)
    product = replace(product, second_is_weight=False)
    try:
        one = derive_mapping(accelerator, product)
    except Infeasible:
        return
    many = derive_mapping(accelerator, product, batch, one.tiling)
    (alone_cycles, alone), (cycles, together) = (product_layer(accelerator, mapping) for mapping in (one, many))
    of_cycles = {"pe_cycles"} if one.fold.hidden else set()
    assert all(np.all(together[event] == batch * alone[event]) for event in alone.keys() - of_cycles)
    work = ("compute", "stall_ifmap_port", "stall_weight_port", "stall_ofmap_port")
    assert all(cycles[cause] == batch * alone_cycles[cause] for cause in work)
    if not one.fold.hidden:  # a second register hides the loads between samples as it does between groups
        assert all(cycles[cause] == batch * alone_cycles[cause] for cause in ("fill_drain", "weight_load"))
    best = derive_mapping(accelerator, product, batch)
    assert time_layer(accelerator, best).total[0] >= time_layer(accelerator, one).total[0]


def test_sixteen_sequences_of_eight_heads() -> None:
    """One token each against 512 keys of 64 features: with shared keys the batch took the time of two sequences."""
    tpu, shared = build("accelerator", "tpu_like"), Product(1, 64, 512, groups=8)
    own = replace(shared, second_is_weight=False)
    assert sum_of_cycles(tpu, own, 16) == sum_of_cycles(tpu, replace(own, groups=128), 1)
    assert sum_of_cycles(tpu, own, 16) > 10 * sum_of_cycles(tpu, shared, 16)


def sum_of_cycles(accelerator: Accelerator, product: Product, batch: int) -> int:
    return int(time_layer(accelerator, derive_mapping(accelerator, product, batch)).total[0])


def test_vit_keeps_the_attention_of_every_sample_apart() -> None:
    layers = [(layer.name, layer.product) for layer in load_workload("vit_b16").layers]
    for name, product in layers:
        assert product.second_is_weight != name.endswith(("scores", "context"))
    tpu = build("accelerator", "tpu_like")
    one, eight = (layer_reports(tpu, layers[2:4], batch) for batch in (1, 8))
    for before, now in zip(one, eight, strict=True):
        assert now.macs == 8 * before.macs
        assert now.dram_bytes == 8 * before.dram_bytes
        assert now.utilization <= 1
    events = timeline(tpu, layers[2:4], 8)
    assert max(event.end_cycle for event in events) == sum(report.total_cycles for report in eight)


def test_the_layers_of_a_network_know_their_second_operand() -> None:
    network = attention_block()
    for layer in network.layers:
        if layer.has_macs:
            assert as_product(network, layer).second_is_weight == (layer.op is not Op.MATMUL)
    for mapped in map_layers(network, build("accelerator", "tiny"), batch=3):
        if mapped.mapping is not None and mapped.layer is not None and mapped.layer.op is Op.MATMUL:
            assert mapped.mapping.batch == 1
            assert mapped.mapping.product.groups % 3 == 0


# Cycles that depend on the data


@pytest.mark.parametrize("pe", [{"name": "fixed", "skip_zeros": True}, {"name": "outlier"}])
@pytest.mark.parametrize(("kernel", "stride"), [((2, 3), (2, 3)), ((1, 1), (1, 1)), ((4, 6), (1, 1))])
def test_values_meet_the_pes_of_the_plain_product(
    pe: dict[str, Any], kernel: tuple[int, int], stride: tuple[int, int]
) -> None:
    """The im2col of the input and the same weights as a linear layer take the same cycles."""
    rng = np.random.default_rng(1)
    accelerator = make({"pe": pe, "array": {"rows": 3, "cols": 4}})
    bits = 4
    a, w = Format(bits, signed=False), Format(bits, signed=True)
    geometry = Geometry(kernel, stride, groups=2)
    codes = rng.integers(0, a.qmax + 1, (2, 6, 4, 6)) * rng.integers(0, 2, (2, 6, 4, 6))
    weight = rng.integers(w.qmin, w.qmax + 1, (8, 3, *kernel))
    conv = Layer("conv", Op.CONV, ("input",), a, weight=QTensor(weight.astype(np.int8), w, 1.0), geometry=geometry)
    product = replace(conv_product(6, 8, 4, 6, geometry), a_bits=bits, w_bits=bits)
    pixels, depth = math.prod(geometry.output_size(4, 6)), math.prod(kernel) * 3
    tiling = Tiling(pixels, 1, 4, depth)
    found = value_dynamic(accelerator, derive_mapping(accelerator, product, 1, tiling), conv, a, codes)
    rows, cols = geometry.output_size(4, 6)
    for group in range(2):
        mine = codes[:, 3 * group : 3 * group + 3].reshape(2, 3, rows, kernel[0], cols, kernel[1])
        tokens = mine.transpose(0, 2, 4, 3, 5, 1).reshape(2, rows * cols, -1)
        own = weight[4 * group : 4 * group + 4].transpose(0, 2, 3, 1).reshape(4, -1)
        linear = Layer("fc", Op.LINEAR, ("input",), a, weight=QTensor(own.astype(np.int8), w, 1.0))
        plain = derive_mapping(accelerator, Product(pixels, depth, 4, a_bits=bits, w_bits=bits), 1, tiling)
        alone = value_dynamic(accelerator, plain, linear, a, tokens)
        np.testing.assert_array_equal(found.streams.compute[:, group], alone.streams.compute[:, 0])
        np.testing.assert_array_equal(found.streams.rows[:, group], alone.streams.rows[:, 0])
