"""The circuit's own counter against the cycles of `hwsim.machine`, for whole layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.timing.data_dependent import step_streams
from hwsim.machine.timing.layer_cycles import StreamCycles, time_layer
from hwsim.network.product import Product
from hwsim.registry import build
from tests.rtl.arrays import ARRAYS
from tests.rtl.build import DRQ, Array
from tests.rtl.circuit import run
from tests.rtl.job import Job, Mode
from tests.rtl.jobs import modes_of, random_job

COMPARED = [array for array in ARRAYS if not (array.places and array.double)]
"""All but elastic rows with two weight registers, where one tile's queue runs on into the next one's."""


def accelerator_of(array: Array) -> Accelerator:
    """The same array in hwsim, with scratchpads and ports so wide that it never waits for them."""
    pad = {"kib": 4096, "banks": 64, "word_bytes": 64}
    return build(
        "accelerator",
        "drq_like",
        pe="drq" if array.kind == DRQ else "fused",
        array={
            "rows": array.rows,
            "cols": array.cols,
            "weight_buffers": 2 if array.double else 1,
            "row_fifo_depth": array.places - 1 if array.places else None,
        },
        scratchpads={"ifmap": pad, "weight": pad, "ofmap": pad},
    )


def machine_cycles(job: Job) -> int:
    """What hwsim says that the array takes for the layer."""
    accelerator, (depth, filters) = accelerator_of(job.array), job.w.shape
    low = 4 if job.mask is not None else None
    product = Product(job.pixels, depth, filters, 1, job.a.size, job.mode.a_bits, job.mode.w_bits, low_bits=low)
    mapping = derive_mapping(accelerator, product, tiling=Tiling(job.pixels, 1, filters, depth))
    timing = time_layer(accelerator, mapping, streams_of(accelerator, mapping, job))
    return int(timing.array_cycles[0])


def streams_of(accelerator: Accelerator, mapping: Mapping, job: Job) -> StreamCycles | None:
    if job.mask is None:
        return None
    steps = np.where(job.mask, 4, 1).astype(np.uint8).T[None, :, :, None]  # [sample, channel, row, column]
    return step_streams(accelerator, mapping, steps, steps, (1, 1))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(COMPARED).flatmap(lambda array: st.tuples(st.just(array), st.sampled_from(modes_of(array)))),
    st.integers(1, 64),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from((0, 0.1, 0.5, 1)),
    st.integers(0, 2**32),
)
def test_a_layer_takes_as_long_as_hwsim_says(
    setting: tuple[Array, Mode], pixels: int, folds: tuple[int, int], sensitive: float, seed: int
) -> None:
    (array, mode), rng = setting, np.random.default_rng(seed)
    k_most, n_most = array.rows * mode.lanes, array.cols
    depth = (folds[0] - 1) * k_most + int(rng.integers(1, k_most, endpoint=True))
    filters = (folds[1] - 1) * n_most + int(rng.integers(1, n_most, endpoint=True))
    job = random_job(rng, array, (pixels, depth, filters), mode, sensitive=sensitive)
    assert machine_cycles(job) == run(job).cycles


@pytest.mark.parametrize("fault", ["state", "mask_unseen"])
def test_a_circuit_with_another_sequencer_or_mask_is_noticed(fault: str) -> None:
    (array,) = [one for one in COMPARED if one.kind == DRQ and not one.places and not one.double][:1]
    job = random_job(np.random.default_rng(0), array, (37, array.rows, array.cols), sensitive=0.1)
    assert machine_cycles(job) == run(job).cycles != run(job, fault).cycles
