"""The circuit against numpy, and its own counter against the closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import reference
from tests.rtl import expected
from tests.rtl.arrays import ARRAYS, DRQ_2X2, DRQ_ARRAYS, FUSED_2X2, FUSED_3X5, FUSED_4X4, FUSED_ARRAYS
from tests.rtl.build import Array
from tests.rtl.circuit import Circuit, run
from tests.rtl.job import MODES, Job, Mode
from tests.rtl.jobs import CORNERS, modes_of, random_job, waiting


def check(job: Job) -> None:
    assert expected.differences(job, run(job)) == {}


@pytest.mark.parametrize("array", FUSED_ARRAYS, ids=str)
def test_every_mode_of_the_fused_pe(array: Array) -> None:
    rng = np.random.default_rng(0)
    for mode in MODES:
        for pixels in (1, array.rows, 37):
            check(random_job(rng, array, (pixels, array.rows * mode.lanes, array.cols), mode))


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_corners(array: Array, corner: str) -> None:
    rng = np.random.default_rng(1)
    for mode in modes_of(array):
        for pixels, sensitive in ((1, 0.0), (1, 1.0), (2, 0.5)):
            sizes = pixels, array.rows * mode.lanes, array.cols
            check(random_job(rng, array, sizes, mode, CORNERS[corner], sensitive))


@pytest.mark.parametrize("sensitive", [0, 0.02, 0.2, 1])
@pytest.mark.parametrize("array", DRQ_ARRAYS, ids=str)
def test_masks_of_the_drq_pe(array: Array, sensitive: float) -> None:
    rng = np.random.default_rng(2)
    for pixels in (1, 2, 37):
        check(random_job(rng, array, (pixels, array.rows, array.cols), sensitive=sensitive))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(ARRAYS).flatmap(lambda array: st.tuples(st.just(array), st.sampled_from(modes_of(array)))),
    st.integers(1, 64),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from((0, 0.1, 0.5)),
    st.sampled_from((0, 1, 12)),
    st.integers(0, 2**32),
)
def test_layers_of_many_tiles(
    kind: tuple[Array, Mode], pixels: int, folds: tuple[int, int], sensitive: float, longest_wait: int, seed: int
) -> None:
    """K and N with remainders, inputs that are not always there, biases that make sums wrap."""
    (array, mode), rng = kind, np.random.default_rng(seed)
    tile = array.rows * mode.lanes, array.cols
    depth, filters = (int(rng.integers((n - 1) * size + 1, n * size + 1)) for n, size in zip(folds, tile, strict=True))
    bias = 2**31 - 1 if seed % 2 else 100
    check(random_job(rng, array, (pixels, depth, filters), mode, None, sensitive, longest_wait, bias))


def test_a_tile_equals_the_walk_of_the_reference() -> None:
    rng = np.random.default_rng(3)
    for array in (FUSED_2X2, FUSED_4X4):
        job = random_job(rng, array, (9, array.rows, array.cols), bias=0)
        out, cycles = reference.walk_weight_stationary(job.a, job.w)
        result = run(job)
        assert np.array_equal(result.accumulators, out)
        assert result.cycles == cycles


# Counted by hand, the first two on pictures of docs/rtl.md.
HAND = [
    (FUSED_2X2, (3, 2, 2), 8),
    (DRQ_2X2, (3, 4, 2), 13),
    (FUSED_4X4, (37, 4, 4), 37 + 3 * 4 - 1),
    (FUSED_4X4, (37, 8, 8), 4 * (37 + 3 * 4 - 1)),
    (FUSED_3X5, (3, 6, 5), 3 + max(3, 10) + 3 + 7),  # the next load waits for the last PE
    (FUSED_3X5, (12, 6, 5), 3 + max(12, 10) + 12 + 7),  # the load is hidden
]


@pytest.mark.parametrize(("array", "sizes", "cycles"), HAND)
def test_cycles_counted_by_hand(array: Array, sizes: tuple[int, int, int], cycles: int) -> None:
    assert run(random_job(np.random.default_rng(4), array, sizes, sensitive=0)).cycles == cycles


def test_a_sensitive_row_holds_up_all_rows() -> None:
    """The second picture of docs/rtl.md."""
    job = random_job(np.random.default_rng(4), DRQ_2X2, (3, 2, 2))
    masks = np.array([[False, False], [False, True], [False, False]])
    assert run(dataclasses.replace(job, mask=masks)).cycles == 11


def test_each_cycle_of_waiting_costs_a_cycle() -> None:
    rng = np.random.default_rng(5)
    job = random_job(rng, FUSED_4X4, (20, 8, 8))
    late = waiting(job, rng, 5)
    assert late.hold.sum() > 50
    assert run(late).cycles == run(job).cycles + late.hold.sum()


def test_waiting_before_the_first_wavefront_hides_no_load() -> None:
    job = random_job(np.random.default_rng(6), FUSED_3X5, (2, 6, 5))
    assert job.hold.shape == (1, 2, 2)
    first, second = (dataclasses.replace(job, hold=np.array([[waits, [0, 0]]])) for waits in ([4, 0], [0, 4]))
    assert [run(j).cycles for j in (job, first, second)] == [22, 26, 22]


@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_layers_one_after_the_other_without_reset(array: Array) -> None:
    rng = np.random.default_rng(7)
    with Circuit(array) as circuit:
        for pixels in (5, 1, 9):
            job = random_job(rng, array, (pixels, 2 * array.rows, 2 * array.cols), longest_wait=3)
            assert expected.differences(job, circuit.run(job)) == {}
