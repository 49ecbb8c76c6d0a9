"""Arrays whose rows take a different number of steps for every code: the kernels against plain walks."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.kernels.machine.row_sync import elastic, lockstep, total_steps
from hwsim.kernels.machine.simd_lanes import LANES
from hwsim.reference import walk_variable_rows

ALL = settings(max_examples=80, deadline=None, derandomize=True)


def recurrence(t: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Begin and end of every wavefront [wavefront, row] by the formula at the head of the kernel."""
    begins, ends = np.zeros_like(t), np.zeros_like(t)
    for i, r in np.ndindex(*t.shape):
        begins[i, r] = max(
            ends[i - 1, r] if i else 0,
            ends[i, r - 1] if r else 0,
            begins[i - depth - 1, r + 1] if i > depth and r + 1 < t.shape[1] else 0,
        )
        ends[i, r] = begins[i, r] + t[i, r]
    return begins, ends


def slowest_of_groups(t: np.ndarray, group: int) -> np.ndarray:
    """Every row takes the steps of the slowest of its group: `t` is [wavefront, row]."""
    parts = [t[:, first : first + group] for first in range(0, t.shape[1], group)]
    return np.concatenate([np.repeat(p.max(axis=1, keepdims=True), p.shape[1], axis=1) for p in parts], axis=1)


def folds(steps: np.ndarray, along_i: np.ndarray, along_r: np.ndarray, rows: int, group: int) -> list[np.ndarray]:
    """The steps of one sample in each fold, int64 [wavefront, row]."""
    whole = steps[along_i[:, None] + along_r].astype(np.int64)
    return [slowest_of_groups(whole[:, first : first + rows], group) for first in range(0, len(along_r), rows)]


def plain_lockstep(t: np.ndarray) -> tuple[int, int]:
    return int(t.max(axis=1).sum()), int(t.sum(axis=0).max())


def plain_elastic(t: np.ndarray, depth: int) -> tuple[int, int]:
    return int(walk_variable_rows(t, depth)[1][-1, -1]), int(t.sum(axis=0).max())


STEP_CHOICES = st.sampled_from([(1, 4), (0, 1), tuple(range(1, 9)), (0, 0, 0, 7), (0, 255)])


@ALL
@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 9), STEP_CHOICES, st.integers(0, 2**32))
def test_rows_that_wait_for_each_other_keep_the_recurrence(wavefronts, rows, depth, choice, seed):
    t = np.random.default_rng(seed).choice(np.array(choice), (wavefronts, rows))
    for walked, formula in zip(walk_variable_rows(t, depth), recurrence(t, depth), strict=True):
        np.testing.assert_array_equal(walked, formula)


@st.composite
def cases(draw):
    """Steps of a few samples, addresses in any order (also one for several rows), and an array."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    samples = draw(st.sampled_from((1, 2, LANES, LANES + 1)))
    wavefronts, positions = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    along_i, along_r = rng.integers(0, 12, wavefronts), rng.integers(0, 12, positions)
    steps = rng.choice(np.array(draw(STEP_CHOICES), np.uint8), (samples, 23))
    return steps, along_i, along_r, draw(st.integers(1, 10)), draw(st.integers(1, 4))


@ALL
@given(cases(), st.integers(0, 4))
def test_kernels_equal_the_definitions(case, depth):
    steps, along_i, along_r, rows, group = case
    lock, free = lockstep(*case), elastic(steps, along_i, along_r, rows, depth, group)
    totals = total_steps(steps, along_i, along_r)
    for n, sample in enumerate(steps):
        parts = folds(sample, along_i, along_r, rows, group)
        assert lock[n].tolist() == [list(plain_lockstep(t)) for t in parts]
        assert free[n].tolist() == [list(plain_elastic(t, depth)) for t in parts]
        assert totals[n] == sample[along_i[:, None] + along_r].sum(dtype=np.int64)


@ALL
@given(cases())
def test_what_bounds_what(case):
    """No array beats its busiest row; deeper queues never hurt, and none is ever better than one for everything."""
    steps, along_i, along_r, rows, group = case
    times = [elastic(steps, along_i, along_r, rows, depth, group) for depth in (0, 1, 2, len(along_i), 10**9)]
    for shallow, deep in pairwise(times):
        assert (shallow[..., 0] >= deep[..., 0]).all()
    np.testing.assert_array_equal(times[-1], times[-2])
    lock = lockstep(*case)
    assert (lock[..., 0] >= lock[..., 1]).all() and (times[-1][..., 0] >= lock[..., 1]).all()
    np.testing.assert_array_equal(times[0][..., 1], lock[..., 1])


def test_one_row_alone_is_its_own_array():
    steps = np.array([[3, 0, 5, 1]], np.uint8)
    along_i = np.arange(4)
    assert lockstep(steps, along_i, np.zeros(1, np.int64), 8).tolist() == [[[9, 9]]]
    assert elastic(steps, along_i, np.zeros(1, np.int64), 8, depth=0).tolist() == [[[9, 9]]]


def test_wavefronts_without_steps_pass_at_once():
    steps = np.zeros((1, 4), np.uint8)
    assert elastic(steps, np.arange(2), np.arange(2), 2, depth=0).tolist() == [[[0, 0]]]
    assert walk_variable_rows(np.zeros((3, 2), np.int64), 0)[1].max() == 0


def test_sums_beyond_16_bits():
    steps = np.full((1, 70_000), 255, np.uint8)
    along_i, along_r = np.arange(69_999), np.arange(2)
    busiest = 69_999 * 255
    assert lockstep(steps, along_i, along_r, 2).tolist() == [[[busiest, busiest]]]
    assert elastic(steps, along_i, along_r, 2, 0).tolist() == [[[busiest + 255, busiest]]]
    assert total_steps(steps, along_i, along_r).tolist() == [2 * busiest]


# Speed-up over 4 steps for everything, 20,000 wavefronts of random masks, by the share of codes that
# need 4 steps (the others 1). First measured by another program with the recurrence above and other
# random numbers, to two decimals.
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
WAVEFRONTS = 20_000
SPEEDUPS = {
    ("lockstep", 16): (1.49, 1.16, 1.02, 1.00, 1.00),
    ("lockstep", 32): (1.17, 1.03, 1.00, 1.00, 1.00),
    (0, 16): (1.94, 1.56, 1.24, 1.11, 1.01),
    (1, 16): (2.45, 2.02, 1.61, 1.41, 1.20),
    (2, 16): (2.75, 2.27, 1.82, 1.57, 1.30),
    (4, 16): (3.02, 2.55, 2.03, 1.74, 1.40),
    (8, 16): (3.20, 2.75, 2.21, 1.87, 1.47),
    (2, 32): (2.69, 2.23, 1.79, 1.55, 1.29),
}


def random_steps(rows: int, run: int = 1) -> np.ndarray:
    """Steps of one sample per share, flat [wavefront, row]; `run` wavefronts in a row are alike."""
    rng = np.random.default_rng(1)
    masks = [np.repeat(rng.random((WAVEFRONTS // run, rows)) < share, run, axis=0) for share in SHARES]
    return np.where(np.stack(masks), 4, 1).astype(np.uint8).reshape(len(SHARES), -1)


def speedup(timing: str | int, steps: np.ndarray, rows: int, along_r: np.ndarray) -> np.ndarray:
    along_i = np.arange(WAVEFRONTS) * rows
    if isinstance(timing, str):
        cycles = lockstep(steps, along_i, along_r, len(along_r))
    else:
        cycles = elastic(steps, along_i, along_r, len(along_r), timing)
    return 4 * WAVEFRONTS / cycles[:, 0, 0]


@pytest.mark.parametrize(("timing", "rows"), SPEEDUPS)
def test_rows_with_masks_of_their_own_lose_most_of_the_speedup(timing, rows):
    got = speedup(timing, random_steps(rows), rows, np.arange(rows))
    np.testing.assert_allclose(got, SPEEDUPS[timing, rows], atol=0.03)


def shared_speedup(timing: str | int) -> tuple[np.ndarray, np.ndarray]:
    """Speed-up where all 16 rows have the mask of the first one, and the bound 4 / (1 + 3p) for its very share p."""
    steps = random_steps(16)
    share = (steps.reshape(len(SHARES), WAVEFRONTS, 16)[:, :, 0] == 4).mean(axis=1)
    return speedup(timing, steps, 16, np.zeros(16, np.int64)), 4 / (1 + 3 * share)


@pytest.mark.parametrize("timing", ["lockstep", 4, 8])
def test_rows_that_share_a_mask_reach_the_bound(timing):
    got, bound = shared_speedup(timing)
    np.testing.assert_allclose(got, bound, atol=1e-9 if timing == "lockstep" else 0.03)
    np.testing.assert_allclose(got, 4 / (1 + 3 * np.array(SHARES)), atol=0.05)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_elastic_rows_need_queues_as_long_as_the_slow_steps_even_with_one_mask(depth):
    """Neighboring rows are at different wavefronts, as a partial sum is whole before the row below begins."""
    got, bound = shared_speedup(depth)
    assert (got < bound - 0.03).all()


@pytest.mark.parametrize(
    ("run", "depth", "wanted"), [(4, 2, (2.20, 1.78, 1.45, 1.29, 1.14)), (16, 8, (2.13, 1.74, 1.42, 1.27, 1.12))]
)
def test_runs_of_alike_pixels_make_rows_with_masks_of_their_own_slower(run, depth, wanted):
    got = speedup(depth, random_steps(16, run), 16, np.arange(16))
    np.testing.assert_allclose(got, wanted, atol=0.03)
    assert (got < speedup(depth, random_steps(16), 16, np.arange(16))).all()


# What is refused: addresses are not checked again where vectors are read.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": np.zeros((1, 4), np.int64)}, "steps: got int64"),
        ({"steps": np.zeros(4, np.uint8)}, "steps: got uint8"),
        ({"steps": np.zeros((1, 3), np.uint8)}, "along_i \\+ along_r: got 3; allowed: addresses below 3"),
        ({"along_i": np.array([-1, 2])}, "along_i: got int64"),
        ({"along_r": np.zeros(0, np.int64)}, "along_r: got int64"),
        ({"along_r": np.array([0, 1], np.int32)}, "along_r: got int32"),
        ({"rows": 0}, "rows: got 0"),
        ({"group": 0}, "group: got 0"),
        ({"depth": -1}, "depth: got -1"),
        ({"along_i": np.zeros(8_421_505, np.int64)}, "wavefronts and rows: got 8421507"),
    ],
)
def test_what_is_refused(change, words):
    good = {"steps": np.zeros((1, 4), np.uint8), "along_i": np.array([0, 2]), "along_r": np.array([0, 1])}
    good |= {"rows": 2, "depth": 0, "group": 1}
    assert elastic(**good).tolist() == [[[0, 0]]]
    with pytest.raises(BadInput, match=words):
        elastic(**(good | change))


def test_no_samples_give_no_cycles():
    none = np.zeros((0, 4), np.uint8)
    assert lockstep(none, np.array([0]), np.array([0, 1, 2]), 2).shape == (0, 2, 2)
    assert total_steps(none, np.array([0]), np.array([0])).shape == (0,)


SCRIPT = """
import numpy as np
from hwsim.kernels.machine.row_sync import elastic, lockstep, total_steps
rng = np.random.default_rng(0)
steps, i, r = rng.integers(0, 9, (40, 30), dtype=np.uint8), np.arange(0, 20, 2), np.arange(7)
print([lockstep(steps, i, r, 3, 2).sum(), elastic(steps, i, r, 3, 1, 2).sum(), total_steps(steps, i, r).sum()])
"""


@pytest.mark.parametrize("variables", [{"NUMBA_DISABLE_JIT": "1"}, {"NUMBA_CPU_NAME": "generic"}])
def test_other_ways_to_run_give_the_same(variables):
    """Without the compiler, and on a CPU without wide vectors."""
    told = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, cwd=Path(__file__).parents[3], check=True, capture_output=True
        ).stdout
        for env in (dict(os.environ), os.environ | variables)
    ]
    assert told[0] == told[1] and told[0].startswith(b"[")
