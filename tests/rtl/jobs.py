"""Jobs with random, extreme or mixed operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.rtl.build import DRQ, Array
from tests.rtl.job import MODES, WIDE, Emission, Ints, Job, Mode

Rng = np.random.Generator
Fill = Callable[[int, int, tuple[int, int]], Ints]
"""Operands of a shape from the smallest and the largest value."""

"""Most pixels that the circuit's accumulator memory holds."""


def random_job(
    rng: Rng,
    array: Array,
    sizes: tuple[int, int, int],
    mode: Mode = WIDE,
    fill: Fill | None = None,
    sensitive: float = 0.2,
    longest_wait: int = 0,
    bias: int = 100,
) -> Job:
    """A job of sizes (M, K, N); `sensitive` is the share of mask bits set, biases are within +-`bias`."""
    (pixels, depth, filters), drq = sizes, array.kind == DRQ
    assert mode in modes_of(array)
    fill = fill or spread(rng)
    a = fill(*_range(mode.a_bits, mode.a_signed), (pixels, depth))
    w = fill(*_range(mode.w_bits, mode.w_signed), (depth, filters))
    biases, emission = rng.integers(-bias, bias, filters, endpoint=True), random_emission(rng, filters)
    job = Job(array, a, w, biases, emission, np.zeros(0), mode)
    if drq:
        mask = rng.random((pixels, depth)) < sensitive
        job = replace(job, mask=mask, w_low=fill(-8, 7, (depth, filters)))
    return waiting(job, rng, longest_wait)


def modes_of(array: Array) -> list[Mode]:
    """What the PEs of an array can multiply: 36 modes of a fused one, a8 by w8 of a DRQ one."""
    return [WIDE] if array.kind == DRQ else MODES


def spread(rng: Rng) -> Fill:
    """Uniform operands, every fourth of them the smallest or the largest value."""

    def fill(low: int, high: int, shape: tuple[int, int]) -> Ints:
        values = rng.integers(low, high, shape, endpoint=True)
        return np.where(rng.random(shape) < 0.25, rng.choice([low, high], shape), values)

    return fill


CORNERS: dict[str, Fill] = {
    "all smallest": lambda low, high, shape: np.full(shape, low, dtype=np.int64),
    "all largest": lambda low, high, shape: np.full(shape, high, dtype=np.int64),
    "all zero": lambda low, high, shape: np.zeros(shape, dtype=np.int64),
}


def waiting(job: Job, rng: Rng, longest: int) -> Job:
    """The same job with a random wait before half of its wavefronts."""
    shape = (job.n_folds, job.k_folds, job.pixels)
    waits = rng.integers(0, longest, shape, endpoint=True) * (rng.random(shape) < 0.5)
    return replace(job, hold=waits)


def random_emission(rng: Rng, filters: int) -> Emission:
    """Multipliers and shifts that keep most codes away from the clip bounds."""
    shift = rng.integers(20, 40, filters)
    multiplier = np.minimum((2.0**shift / rng.integers(4, 200, filters)).astype(np.int64), 2**31 - 1)
    return Emission(multiplier, shift, zero_point=int(rng.integers(-20, 20)))


def _range(bits: int, signed: bool) -> tuple[int, int]:
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
