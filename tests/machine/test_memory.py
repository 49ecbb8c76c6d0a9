"""Traffic and stalls: a layer by hand, and what must never get worse."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.machine.accelerator import Accelerator
from hwsim.machine.mapping import LoopOrder, Product, derive_mapping
from hwsim.machine.memory import Traffic, product_traffic, stall_cycles
from hwsim.machine.timing import array_cycles
from hwsim.registry import build


def traffic_of(accelerator: Accelerator, product: Product) -> Traffic:
    return product_traffic(accelerator, product, derive_mapping(accelerator, product))


def test_one_layer_by_hand() -> None:
    # tiny (4x4, ws): 3x3 convolution of a 1x8x8 map of 8-bit codes with 8 filters of 4 bits, padding 1
    product = Product(pixels=64, reduction=9, filters=8, ifmap_elements=64, a_bits=8, w_bits=4, out_bits=8)
    tiny = build("accelerator", "tiny")
    mapping = derive_mapping(tiny, product)
    assert (mapping.k_folds, mapping.n_folds, mapping.m_folds, mapping.folds) == (3, 2, 1, 6)
    cycles = array_cycles(tiny, product, mapping)
    assert (cycles.compute, cycles.fill_drain, cycles.weight_load) == (6 * 64, 6 * 7, 6 * 4)
    traffic = traffic_of(tiny, product)
    assert traffic.ifmap_read_bits == 64 * 9 * 2 * 8
    assert traffic.weight_read_bits == 9 * 8 * 4
    assert traffic.ofmap_write_bits == 64 * 8 * (2 * 32 + 8)
    assert traffic.ofmap_read_bits == traffic.ofmap_write_bits
    assert traffic.dram_read_bits == 64 * 8 + 9 * 8 * 4
    assert traffic.dram_write_bits == 64 * 8 * 8
    assert traffic.first_bits == 4 * (4 * 4 + 8)
    assert stall_cycles(tiny, traffic, cycles.total) == 3  # 96 bits at 32 per cycle; the rest hides behind 450 cycles
    assert stall_cycles(tiny, traffic, 0) == 3 + (512 + 288 + 4096 - 96) // 32


def test_the_operand_that_does_not_fit_is_fetched_again() -> None:
    tiny = build("accelerator", "tiny")  # half of each scratchpad holds 8192 bits
    small_weights = Product(pixels=16, reduction=16, filters=16, ifmap_elements=4096)
    mapping = derive_mapping(tiny, small_weights)
    assert (mapping.dram_ifmap_bits, mapping.dram_weight_bits) == (4096 * 8, 16 * 16 * 8)
    small_map = Product(pixels=16, reduction=64, filters=64, ifmap_elements=1024)
    mapping = derive_mapping(tiny, small_map)
    assert (mapping.dram_ifmap_bits, mapping.dram_weight_bits) == (1024 * 8, 64 * 64 * 8)
    both_large = Product(pixels=16, reduction=64, filters=64, ifmap_elements=4096)
    mapping = derive_mapping(tiny, both_large)
    # 16 blocks of 4 filters, 4 at a time: the map 4 times (163840 bits); or the weights 4 times (163840)
    assert mapping.order is LoopOrder.WEIGHTS_OUTER
    assert (mapping.dram_ifmap_bits, mapping.dram_weight_bits) == (4 * 4096 * 8, 64 * 64 * 8)


def test_many_filters_and_a_map_of_two_pieces_go_pixels_outer() -> None:
    tiny = build("accelerator", "tiny")
    product = Product(pixels=16, reduction=64, filters=128, ifmap_elements=2000)
    mapping = derive_mapping(tiny, product)
    # 32 blocks, 4 at a time: the map 8 times (193536 bits with the weights); or the weights twice (147072)
    assert mapping.order is LoopOrder.PIXELS_OUTER
    assert (mapping.dram_ifmap_bits, mapping.dram_weight_bits) == (2000 * 8, 2 * 64 * 128 * 8)


PRODUCTS = st.builds(
    Product,
    pixels=st.integers(1, 400),
    reduction=st.integers(1, 600),
    filters=st.integers(1, 200),
    groups=st.integers(1, 3),
    ifmap_elements=st.integers(1, 40_000),
    a_bits=st.integers(1, 8),
    w_bits=st.integers(1, 8),
    out_bits=st.sampled_from([2, 8, 32]),
)
DATAFLOWS = st.sampled_from(["ws", "os"])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    PRODUCTS,
    DATAFLOWS,
    st.sampled_from(["ifmap_kib", "weight_kib", "ofmap_kib"]),
    st.integers(2, 16),
    st.integers(1, 4),
)
def test_bigger_buffers_never_move_more_over_dram(
    product: Product, dataflow: str, pad: str, kib: int, times: int
) -> None:
    small = build("accelerator", "tiny", dataflow=dataflow, scratchpads={pad: kib})
    large = build("accelerator", "tiny", dataflow=dataflow, scratchpads={pad: kib * times + times - 1})
    a, b = traffic_of(small, product), traffic_of(large, product)
    assert b.dram_read_bits + b.dram_write_bits <= a.dram_read_bits + a.dram_write_bits


@settings(max_examples=100, deadline=None, derandomize=True)
@given(PRODUCTS, DATAFLOWS, st.integers(1, 64), st.integers(1, 64))
def test_more_bandwidth_never_takes_longer(product: Product, dataflow: str, slow: int, more: int) -> None:
    stalls = []
    for bandwidth in (slow, slow + more):
        accelerator = build("accelerator", "tiny", dataflow=dataflow, dram={"bandwidth_bytes_per_cycle": bandwidth})
        mapping = derive_mapping(accelerator, product)
        busy = array_cycles(accelerator, product, mapping).total
        stalls.append(stall_cycles(accelerator, product_traffic(accelerator, product, mapping), busy))
    assert 0 < stalls[1] <= stalls[0]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(PRODUCTS, DATAFLOWS)
def test_every_operand_is_fetched_at_least_once_and_no_port_beats_its_width(product: Product, dataflow: str) -> None:
    accelerator = build("accelerator", "tiny", dataflow=dataflow)
    mapping = derive_mapping(accelerator, product)
    traffic = product_traffic(accelerator, product, mapping)
    assert traffic.ifmap_write_bits >= product.ifmap_elements * product.a_bits
    assert traffic.weight_write_bits >= product.groups * product.reduction * product.filters * product.w_bits
    assert traffic.first_bits <= traffic.dram_read_bits + product.reduction * 8 * 4
    busy = array_cycles(accelerator, product, mapping).total
    total = busy + stall_cycles(accelerator, traffic, busy)
    moved = traffic.dram_read_bits + traffic.dram_write_bits
    assert moved <= (total + 2) * accelerator.dram.bandwidth_bytes_per_cycle * 8
    assert traffic.ifmap_read_bits <= busy * accelerator.array.rows * product.a_bits
