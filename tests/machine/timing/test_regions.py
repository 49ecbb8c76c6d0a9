"""Region precision on a lock-step array: exact counts from the masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.machine import COMPONENTS, simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.run import Run
from hwsim.machine.timing.data_dependent import region_dynamic
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT, Geometry, Layer, Op, Region
from hwsim.network.product import as_product
from hwsim.registry import build


def region_network(channels: int, size: tuple[int, int], region: Region, geometry: Geometry, filters: int) -> Network:
    weight = QTensor(np.ones((filters, channels // geometry.groups, *geometry.kernel), np.int8), Format(8, signed=True))
    bias = np.zeros(filters, np.int64)
    layer = Layer("conv", Op.CONV, (INPUT,), LOGITS, 1.0, weight, bias, geometry=geometry, region=region)
    return Network(Format(8), (channels, *size), 1.0, (layer,))


def expected(network: Network, run: Run, rows: int, dataflow: str, cols: int, sample: int) -> tuple[int, int]:
    """Compute cycles and full MACs, tap by tap, from the definition."""
    layer = network.layers[0]
    assert layer.region is not None and layer.weight is not None
    shape = (1, *network.input_shape)
    pixels = reference.spread(run.masks["conv"][sample : sample + 1], layer.region, shape).astype(np.int64)
    windows = reference.windows(pixels, layer.geometry, 0)[0, 0]  # [out row, out column, kernel row, kernel column]
    channels = layer.weight.codes.shape[1]
    hot = windows.reshape(windows.shape[0] * windows.shape[1], -1).repeat(channels, axis=1).astype(bool)
    filters = layer.weight.codes.shape[0] // layer.geometry.groups
    repeats = -(-filters // cols) * layer.geometry.groups
    total = 0
    if dataflow == "ws":
        for first in range(0, hot.shape[1], rows):
            total += sum(4 if wavefront.any() else 1 for wavefront in hot[:, first : first + rows])
    else:
        for first in range(0, hot.shape[0], rows):
            total += sum(4 if step.any() else 1 for step in hot[first : first + rows].T)
    return total * repeats, int(hot.sum()) * filters * layer.geometry.groups


def run_on(network: Network, codes: np.ndarray, rows: int, cols: int, dataflow: str) -> Run:
    accelerator = build("accelerator", "drq_like", array={"rows": rows, "cols": cols}, dataflow=dataflow)
    shape, filters = network.shapes["conv"], len(network.layers[0].weight.codes)  # type: ignore[union-attr]
    groups = network.layers[0].geometry.groups
    whole = Tiling(shape[1], shape[2], filters // groups, network.input_shape[0] // groups)
    return simulate(network, accelerator, codes, {"conv": whole})


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 4),
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 2),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([1, 3, 4, 16]),
    st.sampled_from(["ws", "os"]),
    st.integers(0, 2**32),
)
def test_counts_equal_the_definition(
    channels: int,
    size: tuple[int, int],
    region: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    padding: int,
    grouped: bool,
    rows: int,
    dataflow: str,
    seed: int,
) -> None:
    groups = channels if grouped else 1
    geometry = Geometry(kernel, (stride, stride), (padding, padding), groups)
    low = np.zeros((3 * groups, channels // groups, *kernel), np.int8)
    network = region_network(channels, size, Region(*region, 1600, low), geometry, 3 * groups)
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 256, (3, channels, *size)) * (rng.random((3, 1, *size)) < 0.7)
    run = run_on(network, codes, rows, 2, dataflow)
    everything = int(np.prod(network.shapes["conv"][1:])) * low.size
    for sample in range(3):
        compute, macs_full = expected(network, run, rows, dataflow, 2, sample)
        assert run.cause("compute")[sample, 0] + run.cause("stall_rows")[sample, 0] == compute
        assert run.event("macs_full")[sample, 0] == macs_full
        assert run.event("macs_low")[sample, 0] == everything - macs_full
        assert run.event("pe_busy_cycles")[sample, 0] == everything + 3 * macs_full


def one_tap_network(channels: int) -> Network:
    low = np.zeros((4, channels, 1, 1), np.int8)
    return region_network(channels, (8, 8), Region(2, 2, 1600, low), Geometry((1, 1)), 4)


@pytest.mark.parametrize("dataflow", ["ws", "os"])
def test_shared_masks_reach_the_bound_of_1_plus_3p(dataflow: str) -> None:
    rng = np.random.default_rng(0)
    hot = rng.random((5, 1, 4, 4)) < 0.3
    codes = np.where(hot.repeat(2, axis=2).repeat(2, axis=3), 255, 0) * np.ones((1, 8, 1, 1), np.int64)
    network = one_tap_network(8)
    rows = 4 if dataflow == "ws" else 1  # one tap per fold; one pixel per block
    run = run_on(network, codes, rows, 4, dataflow)
    p64 = hot.reshape(5, -1).sum(axis=1) * 4  # sensitive pixels of 64
    folds = 2 if dataflow == "ws" else 8
    np.testing.assert_array_equal(run.cause("compute")[:, 0], folds * (64 + 3 * p64))


@pytest.mark.parametrize(("code", "steps"), [(255, 4), (0, 1)])
def test_all_or_nothing_sensitive(code: int, steps: int) -> None:
    network = one_tap_network(8)
    run = run_on(network, np.full((2, 8, 8, 8), code), 4, 4, "ws")
    assert run.cause("compute")[:, 0].tolist() == [2 * 64 * steps] * 2
    assert run.event("macs_full" if code else "macs_low")[:, 0].tolist() == [64 * 8 * 4] * 2


def test_low_products_cost_less() -> None:
    pe, technology = build("pe", "drq"), build("technology", "nangate45")
    runs = [run_on(one_tap_network(8), np.full((1, 8, 8, 8), code), 4, 4, "ws") for code in (255, 0)]
    high, low = (estimate(replace(run, activity=None), technology) for run in runs)
    macs, idle_pes = 64 * 8 * 4, 16 * 3 * 2 * 64  # three steps fewer, for 16 PEs in two folds of 64 wavefronts
    saved_fj = macs * (pe.mac_energy_fj(8, 8) - pe.mac_energy_fj(4, 4)) + idle_pes * pe.physical_cost().clock_fj
    np.testing.assert_allclose((high.energy_pj - low.energy_pj)[0, 0, COMPONENTS.index("pe")], saved_fj / 1000)


def test_mixed_folds_pay_for_their_worst_tap() -> None:
    low = np.zeros((1, 1, 1, 2), np.int8)
    network = region_network(1, (1, 3), Region(1, 1, 1600, low), Geometry((1, 2)), 1)
    codes = np.array([[[[255, 0, 0]]]])  # windows: (hot, cold) and (cold, cold)
    assert run_on(network, codes, 2, 1, "ws").cause("compute")[0, 0] == 4 + 1
    assert run_on(network, codes, 1, 1, "ws").cause("compute")[0, 0] == (4 + 1) + (1 + 1)
    assert run_on(network, codes, 2, 1, "os").cause("compute")[0, 0] == 4 + 1


def test_rows_wait_for_each_other() -> None:
    """Two taps that are sensitive at different pixels: each row is busy for 5 cycles, together they take 8."""
    low = np.zeros((1, 1, 1, 2), np.int8)
    network = region_network(1, (1, 3), Region(1, 1, 1600, low), Geometry((1, 2)), 1)
    run = run_on(network, np.array([[[[0, 255, 0]]]]), 2, 1, "ws")
    assert (run.cause("compute")[0, 0], run.cause("stall_rows")[0, 0]) == (5, 3)


@pytest.mark.parametrize("dataflow", ["ws", "os"])
@pytest.mark.parametrize("buffers", [1, 2])
def test_shared_masks_the_short_way_equal_the_general_one(dataflow: str, buffers: int) -> None:
    rng = np.random.default_rng(1)
    low = np.zeros((6, 5, 3, 3), np.int8)
    network = region_network(5, (9, 7), Region(2, 2, 1600, low), Geometry((3, 3), (1, 2), (1, 1)), 6)
    array = {"rows": 7, "cols": 4, "weight_buffers": buffers}
    pads = {"ofmap": {"banks": 1, "word_bytes": 8}}
    accelerator = build("accelerator", "drq_like", array=array, dataflow=dataflow, scratchpads=pads)
    layer, masks = network.layers[0], rng.random((4, 5, 4)) < 0.3
    tiling = Tiling(4, 4, 6, 3)
    mapping = derive_mapping(accelerator, as_product(network, layer), tiling=tiling)
    short = region_dynamic(accelerator, mapping, layer, masks)
    general = region_dynamic(accelerator, mapping, layer, masks[:, None].repeat(5, axis=1))
    for name, streams in vars(short.streams).items():
        np.testing.assert_array_equal(streams, getattr(general.streams, name), err_msg=name)
    np.testing.assert_array_equal(short.busy, general.busy)
    np.testing.assert_array_equal(short.macs_low, general.macs_low)
