"""The requantization unit against the reference: random sums, extreme ones, and exact ties of both signs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim import reference
from hwsim.formats import Format, QTensor
from hwsim.network.layer import INPUT, Layer, Op, Requantizer
from tests.rtl.arrays import FUSED_4X4
from tests.rtl.circuit import run
from tests.rtl.job import Emission, Ints, Job
from tests.rtl.jobs import CORNERS, random_job


def job_of(sums: Ints, multiplier: Ints, shift: Ints, output: Format, low: int) -> Job:
    """One pixel whose sums are the biases, for all weights are zero."""
    job = random_job(np.random.default_rng(0), FUSED_4X4, (1, 1, len(sums)), fill=CORNERS["all zero"])
    return dataclasses.replace(
        job, bias=sums, emission=Emission(multiplier, shift, output.zero_point, low, output.qmax)
    )


def check(job: Job, output: Format) -> Ints:
    e = job.emission
    requantizer = Requantizer(e.multiplier, e.shift, e.low, e.high)
    weight = QTensor(job.w.T, Format(8, signed=True))
    layer = Layer("fc", Op.LINEAR, (INPUT,), output, 1.0, weight, job.bias, requantizer)
    codes = run(job).codes
    assert np.array_equal(codes, reference.requantize(layer, job.bias[None]))
    return codes[0]


@pytest.mark.parametrize("output", [Format(8), Format(8, signed=True, zero_point=-3), Format(16), Format(2)], ids=str)
def test_random_sums(output: Format) -> None:
    rng = np.random.default_rng(1)
    sums = rng.integers(-(2**31), 2**31, 2000) >> rng.integers(0, 32, 2000)
    sums[:4] = -(2**31), 2**31 - 1, -1, 0
    multiplier = rng.integers(0, 2**31, 2000) >> rng.integers(0, 31, 2000)
    multiplier[:4] = 2**31 - 1
    shift = rng.integers(0, 63, 2000)
    codes = check(job_of(sums, multiplier, shift, output, output.qmin), output)
    assert len(np.unique(codes)) >= min(4, 1 << output.bits)


def ties(rng: np.random.Generator, count: int) -> tuple[Ints, Ints, Ints]:
    """Sums, multipliers and shifts whose quotient is an odd number of halves, small, of either sign."""
    halves = 2 * rng.integers(-40, 40, count) + 1
    of_sum, of_multiplier = rng.integers(0, 24, count), rng.integers(0, 31, count)
    return halves << of_sum, np.int64(1) << of_multiplier, of_sum + of_multiplier + 1


def test_exact_ties_go_up() -> None:
    sums, multiplier, shift = ties(np.random.default_rng(2), 1000)
    output = Format(8, signed=True)
    codes = check(job_of(sums, multiplier, shift, output, -128), output)
    doubled = (sums * multiplier) >> (shift - 1)  # the halves again
    assert np.array_equal(codes, (doubled + 1) // 2)
    assert (sums < 0).sum() > 300
    assert (sums > 0).sum() > 300


def test_relu_cuts_at_the_zero_point() -> None:
    output = Format(8, zero_point=7)
    codes = check(job_of(np.array([-9, -1, 0, 1, 9]), np.ones(5, np.int64), np.zeros(5, np.int64), output, 7), output)
    assert codes.tolist() == [7, 7, 7, 8, 16]
