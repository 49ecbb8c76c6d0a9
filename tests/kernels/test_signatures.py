"""Arrays of any layout compile no kernel anew: read-only, memory-mapped, strided, Fortran-ordered and byte-swapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import event

from hwsim.kernels.compile import JIT
from hwsim.kernels.machine import row_sync
from hwsim.kernels.membership.bootstrap import places_of, resampled_rates
from hwsim.kernels.membership.log_odds import label_log_odds
from hwsim.kernels.membership.pair_counts import twice_ordered_pairs
from hwsim.kernels.membership.population_share import share_at_least
from hwsim.kernels.membership.roc import roc_counts
from hwsim.kernels.membership.shadow_moments import fixed_point_grid, log_means, shadow_moments, shadow_percentiles
from hwsim.machine.activity.toggles import count_toggles
from tests.support.small_network import small_network

pytestmark = pytest.mark.skipif(not JIT, reason="no compiler")

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(6, 40))
KEEP = RNG.random((6, 40)) < 0.5
TARGETS = np.arange(6)
SIZES = np.ones((2, 6, 7), dtype=np.int64)
LABELS = RNG.integers(0, 3, 40)
STEPS = RNG.integers(0, 9, (40, 20)).astype(np.uint8)
ALONG_I, ALONG_R = np.arange(10), np.arange(9)
NETWORK = small_network()

CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "log odds": (lambda z, y: label_log_odds(z, y, 0.5), (RNG.normal(size=(40, 3)), LABELS)),
    "moments": (
        lambda *arrays: shadow_moments(*arrays, *fixed_point_grid(VALUES)),
        (VALUES, KEEP, TARGETS, SIZES),
    ),
    "log means": (log_means, (VALUES, KEEP, TARGETS, SIZES)),
    "percentiles": (shadow_percentiles, (VALUES, KEEP, TARGETS, SIZES)),
    "share": (lambda v, z: share_at_least(v, z, 0.5), (VALUES[0].copy(), np.sort(VALUES[1]))),
    "roc": (roc_counts, (-np.sort(-VALUES[0]), KEEP[0].copy())),
    "bootstrap": (
        resampled_rates,
        (places_of(VALUES, KEEP), np.arange(40, dtype=np.uint64), np.array([0.01, 0.1])),
    ),
    "ordered pairs": (twice_ordered_pairs, (places_of(VALUES, KEEP),)),
    "lockstep": (lambda steps: row_sync.lockstep(steps, ALONG_I, ALONG_R, 4), (STEPS,)),
    "elastic": (lambda steps: row_sync.elastic(steps, ALONG_I, ALONG_R, 4, 1), (STEPS,)),
    "total steps": (lambda steps: row_sync.total_steps(steps, ALONG_I, ALONG_R), (STEPS,)),
    "toggles": (
        lambda codes: count_toggles(NETWORK, NETWORK["conv"], codes, 4).psum,
        (RNG.integers(0, 256, (9, 1, 8, 8)).astype(np.uint8),),
    ),
}


def layouts(array: np.ndarray, folder: Path) -> Iterator[np.ndarray]:
    """Yield the same numbers in other layouts."""
    read_only = array.copy()
    read_only.setflags(write=False)
    yield read_only
    np.save(file := folder / f"{id(array)}.npy", array)
    yield np.load(file, mmap_mode="r")
    yield np.repeat(array, 2, axis=-1)[..., ::2]
    yield np.asfortranarray(array)
    yield array.astype(array.dtype.newbyteorder(">"))


@pytest.mark.parametrize("name", CALLS)
def test_no_layout_compiles_anew_or_changes_a_bit(name: str, tmp_path: Path) -> None:
    function, arrays = CALLS[name]
    wanted = function(*arrays)
    for others in zip(*(layouts(array, tmp_path) for array in arrays), strict=True):
        with event.install_recorder("numba:compile") as compilations:
            found = function(*others)
        assert not compilations.buffer, [what.data["dispatcher"] for _, what in compilations.buffer]
        np.testing.assert_equal(found, wanted)
