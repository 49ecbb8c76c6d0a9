"""Faults that must be noticed, by just the comparisons named here: a check that cannot fail proves nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.rtl import expected
from tests.rtl.arrays import DRQ_3X5, DRQ_4X4, DRQ_5X3, ELASTIC_4X4, ELASTIC_5X3, FUSED_2X2, FUSED_3X5
from tests.rtl.build import FUSED, SOURCES, Array
from tests.rtl.circuit import FAULTS, run
from tests.rtl.job import Emission, Job, Mode
from tests.rtl.jobs import random_job
from tests.rtl.test_requantize import ties

OUTPUTS, CYCLES = {"accumulators", "codes"}, {"cycles"}

# fault, array, what must notice it
CASES = [
    ("shift", FUSED_2X2, OUTPUTS),
    ("shift", DRQ_4X4, OUTPUTS),
    ("signed", FUSED_2X2, OUTPUTS),
    ("signed", DRQ_4X4, OUTPUTS),
    ("minus_128", FUSED_2X2, {"accumulators"}),
    ("mask_lost", DRQ_4X4, OUTPUTS),
    ("mask_unseen", DRQ_4X4, OUTPUTS | CYCLES),
    ("state", FUSED_2X2, CYCLES),
    ("state", FUSED_3X5, CYCLES),
    ("state", DRQ_3X5, CYCLES),
    ("early", FUSED_3X5, OUTPUTS),
    ("early", DRQ_5X3, OUTPUTS),
    ("stall", FUSED_3X5, OUTPUTS | CYCLES),
    ("stall", DRQ_4X4, OUTPUTS | CYCLES),
    ("forget", FUSED_2X2, OUTPUTS),
    ("ties", FUSED_2X2, {"codes"}),
    ("room", ELASTIC_4X4, OUTPUTS | CYCLES),
    ("room", ELASTIC_5X3, OUTPUTS),
]


def job_for(array: Array) -> Job:
    """Four tiles, waits, operands that include -128, exact ties in the first pixel."""
    rng = np.random.default_rng(0)
    sizes = 8, 2 * array.rows, 2 * array.cols
    job = random_job(rng, array, sizes, Mode(a_signed=array.kind == FUSED), sensitive=0.3, longest_wait=2)
    sums, multiplier, shift = ties(rng, sizes[2])
    a = job.a * (np.arange(8) > 0)[:, None]  # all zero in the first pixel, so that its sums are the biases
    top = 2**31 - 1
    return dataclasses.replace(job, a=a, bias=sums, emission=Emission(multiplier, shift, 0, -top, top))


@pytest.mark.parametrize(("fault", "array", "noticed"), CASES, ids=[f"{fault}-{array}" for fault, array, _ in CASES])
def test_fault_is_noticed(fault: str, array: Array, noticed: set[str]) -> None:
    job = job_for(array)
    assert expected.differences(job, run(job)) == {}
    assert set(expected.differences(job, run(job, fault))) == noticed


def test_every_fault_of_the_circuit_has_a_case() -> None:
    (source,) = (path for path in SOURCES if path.name == "mutants.v")
    numbered = [line.split()[1:3] for line in source.read_text().splitlines() if line.startswith("`define MUTANT_")]
    assert numbered == [[f"MUTANT_{name.upper()}", f"4'd{i}"] for i, name in enumerate(FAULTS, 1)]
    assert {fault for fault, _, _ in CASES} == set(FAULTS)
