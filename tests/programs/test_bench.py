"""The speed table itself: its lines, its clock, and that what it times is right. No figure is tested."""

from __future__ import annotations

import csv
import time
from functools import partial

import numpy as np
import pytest

from hwsim import reference
from hwsim.engine.execute import execute
from hwsim.errors import HwsimError
from tests.bench import timing
from tests.bench.exact import exact_outputs
from tests.bench.group_gemm import our_int8_gemm, torch_int8_gemm
from tests.bench.groups import GROUPS
from tests.bench.networks import random_images, resnet20, small_cnn
from tests.bench.peers import ONNXRUNTIME, TORCH, onnxruntime_int8, real_inputs, require_alike, torch_float32
from tests.bench.row import COLUMNS, UNKNOWN, Row
from tests.bench.table import format_table, write_csv
from tests.bench.timing import interleave

ROWS = [
    Row("networks", "ResNet-20", 3000.0, "torch", 1000.0, "images/s", goal=4.0),
    Row("startup", "first call", 0.5, "limit", 1.0, "s", goal=1.0, less_is_better=True),
    Row("bits", "16 bits", UNKNOWN, "our int8", 1000.0, "images/s"),
]


@pytest.fixture
def quick(monkeypatch):
    """Turns without a pause, of one call each."""
    monkeypatch.setattr(timing, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(timing, "SLICE_SECONDS", 0.0)


def test_ratio_above_one_means_ahead():
    assert [row.ratio for row in ROWS[:2]] == [3.0, 2.0]
    assert [row.met for row in ROWS] == [False, True, False]


def test_table_is_aligned_and_marks_what_misses_its_goal():
    lines = format_table(ROWS).splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert [line.index("torch" if "torch" in line else "limit") for line in lines[1:3]] == [
        lines[0].index("peer_name")
    ] * 2
    assert "3<" in lines[1].split()
    assert "<" not in lines[2] + lines[3]
    assert lines[3].split()[-2:] == ["-", "-"]


def test_csv_has_all_digits_and_empty_cells_for_what_is_not_known(tmp_path):
    write_csv(ROWS, tmp_path / "build" / "bench.csv")
    with (tmp_path / "build" / "bench.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == list(COLUMNS)
    assert float(read[0]["ratio"]) == 3.0
    assert (read[2]["ours"], read[2]["ratio"], read[2]["goal"]) == ("", "", "")


def test_interleaved_timer_takes_turns_and_tells_slow_from_fast(quick):
    order = []

    def call(name, seconds):
        order.append(name)
        time.sleep(seconds)
        return np.array([len(name)])

    calls = {"fast": partial(call, "fast", 0.001), "slower": partial(call, "slower", 0.01)}
    seconds = interleave(calls, {name: np.array([len(name)]) for name in calls}, seconds=0.0)
    assert 0.001 <= seconds["fast"] < seconds["slower"] < 0.1
    one_turn = ["fast", "fast", "slower", "slower"]
    assert order == ["fast", "slower", *one_turn * timing.MIN_ROUNDS, "fast", "slower"]


def test_interleaved_timer_refuses_a_closure_that_binds_too_late(quick):
    expected = {"a": np.array([1]), "b": np.array([2])}
    calls = {name: lambda: expected[name] for name in expected}  # noqa: B023
    with pytest.raises(AssertionError, match="a"):
        interleave(calls, expected)


def test_floats_may_differ_by_a_little_and_integers_not_at_all():
    timing.require_equal("float", np.array([1.0, 1000.0]), np.array([1.5, 1000.0]))
    with pytest.raises(AssertionError):
        timing.require_equal("float", np.array([1.0, 1000.0]), np.array([3.0, 1000.0]))
    with pytest.raises(AssertionError):
        timing.require_equal("integer", np.array([1, 1000]), np.array([2, 1000]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"w_bits": 4, "a_bits": 4},
        {"w_bits": 2, "a_bits": 2},
        {"w_bits": 16, "a_bits": 16},
        {"w_bits": 1},
        {"regions": True},
    ],
    ids=str,
)
def test_networks_equal_the_reference_on_one_image(options):
    try:
        network = resnet20(**options)
    except HwsimError as error:
        pytest.skip(f"hwsim refuses this width: {error}")
    outputs = exact_outputs(network, random_images(network, 1))
    assert len(np.unique(outputs)) > 5


def test_codes_of_the_networks_are_well_spread():
    network = resnet20()
    codes = reference.run(network, random_images(network, 1))
    for layer in network.layers[:-1]:
        lowest, highest = (np.mean(codes[layer.name] == code) for code in (0, 255))
        assert lowest < 0.6, layer.name
        assert highest < 0.3, layer.name
        assert codes[layer.name].std() > 20, layer.name


def test_about_a_third_of_the_regions_is_sensitive():
    network = resnet20(regions=True)
    masks = execute(network, random_images(network, 4)).masks
    assert len(masks) == 20
    assert 0.2 < np.mean([mask.mean() for mask in masks.values()]) < 0.4


def test_ensemble_members_differ():
    first, second = small_cnn(0), small_cnn(1)
    images = random_images(first, 2)
    assert (exact_outputs(first, images) != exact_outputs(second, images)).any()


def test_torch_computes_the_same_network():
    network = resnet20()
    images = random_images(network, 8)
    require_alike(TORCH, torch_float32(network)(real_inputs(network, images)), exact_outputs(network, images))


def test_onnxruntime_computes_the_same_network():
    pytest.importorskip("onnxruntime")
    network = resnet20()
    images = random_images(network, 8)
    require_alike(ONNXRUNTIME, onnxruntime_int8(network)(images), exact_outputs(network, images))


def test_a_peer_that_does_other_work_is_refused():
    network, other = resnet20(), resnet20(w_bits=4)
    images = random_images(network, 8)
    with pytest.raises(AssertionError, match="correlate"):
        require_alike(TORCH, torch_float32(other)(real_inputs(other, images)), exact_outputs(network, images))


def test_both_matrix_products_are_exact():
    rng = np.random.default_rng(0)
    a, w = rng.integers(0, 256, (32, 64), dtype=np.uint8), rng.integers(-127, 128, (16, 64), dtype=np.int8)
    expected = a.astype(np.int64) @ w.T.astype(np.int64)
    np.testing.assert_array_equal(our_int8_gemm(a, w)(), expected)
    np.testing.assert_array_equal(torch_int8_gemm(a, w)(), expected)


def test_every_group_has_a_name():
    assert list(GROUPS) == [
        "gemm",
        "networks",
        "bits",
        "ensemble",
        "startup",
        "memory",
        "portable",
        "machine",
        "privacy",
    ]
