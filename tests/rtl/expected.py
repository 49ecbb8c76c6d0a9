"""What must come out of a job, in numpy int64 and closed forms."""

from __future__ import annotations

import numpy as np

from tests.rtl.circuit import Result
from tests.rtl.job import Emission, Ints, Job


def accumulators(job: Job) -> Ints:
    """int64 [M, N], wrapped to 32 bits."""
    if job.mask is None:
        sums = job.a @ job.w
    else:
        assert job.w_low is not None
        coarse = np.minimum((job.a + 8) >> 4, 15)
        sums = np.where(job.mask, job.a, 0) @ job.w + 256 * (np.where(job.mask, 0, coarse) @ job.w_low)
    return (sums + job.bias + 2**31) % 2**32 - 2**31


def codes(sums: Ints, emission: Emission) -> Ints:
    """Rounded half up in Python's unbounded integers, then clipped: int64 [M, N]."""
    columns = zip(sums.T.tolist(), emission.multiplier.tolist(), emission.shift.tolist(), strict=True)
    scaled = [[(2 * s * factor + 2**shift) // 2 ** (shift + 1) for s in column] for column, factor, shift in columns]
    out = [[min(max(v + emission.zero_point, emission.low), emission.high) for v in column] for column in scaled]
    return np.array(out, dtype=np.int64).T


def steps(job: Job) -> Ints:
    """Phases of each row's product, int64 [k fold, M, row]: four where the row is sensitive, else one."""
    return np.where(job.row_masks(), 4, 1)


def cycles(job: Job) -> int:
    """Cycles of a whole layer."""
    return elastic_cycles(job) if job.array.places else lock_step_cycles(job)


def lock_step_cycles(job: Job) -> int:
    """Closed form for rows in lock-step.

    A stream lasts as long as the slowest row of each wavefront, and the cycles of waiting for inputs. One
    weight register: load, stream and drain one after the other, tile by tile. Two: the next load begins
    when the first wavefront has reached the last PE, so that from tile to tile pass R + C - 1 + R cycles
    or the stream, whichever is longer; waiting before that first wavefront hides nothing.
    """
    rows, cols = job.array.rows, job.array.cols
    drain = rows + cols - 1
    waits = job.hold.reshape(-1, job.pixels)  # tile by tile
    streams = np.tile(steps(job).max(axis=-1).sum(axis=-1), job.n_folds) + waits.sum(axis=1)
    if not job.array.double:
        return int((rows + streams + drain).sum())
    hidden = waits[:, 0] + np.maximum(streams - waits[:, 0], drain + rows)
    return int(rows + hidden[:-1].sum() + streams[-1] + drain)


def elastic_cycles(job: Job) -> int:
    """Recurrence for elastic rows: who waits for whom, over the whole layer.

    begin[i, r] = max(end[i-1, r], end[i, r-1], begin[i-places, r+1]) in the first column; the last column
    is C - 1 cycles behind, and what it ends comes out one cycle later.
    """
    rows, cols, places = job.array.rows, job.array.cols, job.array.places
    took = np.tile(steps(job), (job.n_folds, 1, 1))  # [tile, M, row]
    waits = job.hold.reshape(-1, job.pixels)
    begins = [[0] * (rows + 1) for _ in range(places)]  # of the last wavefronts; below the last row nothing waits
    ends = [0] * rows
    loaded = rows  # the cycle in which the tile's stream may begin
    for tile, wavefronts in enumerate(took.tolist()):
        for m, phases in enumerate(wavefronts):
            begin = [0] * (rows + 1)
            for r in range(rows):
                above = ends[r - 1] if r else loaded
                begin[r] = max(ends[r], above, begins[-places][r + 1]) + (int(waits[tile, m]) if r == 0 else 0)
                ends[r] = begin[r] + phases[r]
            begins.append(begin)
        first = begins[-job.pixels]
        loaded = rows + cols + (first[rows - 1] if job.array.double else ends[-1])
    return ends[-1] + cols


def differences(job: Job, result: Result) -> dict[str, str]:
    """Each comparison that fails, with what came out and what had to: empty if all is well."""
    sums = accumulators(job)
    pairs = {
        "accumulators": (result.accumulators, sums),
        "codes": (result.codes, codes(sums, job.emission)),
        "cycles": (result.cycles, cycles(job)),
        "vectors": (result.arrived, np.ones_like(result.arrived)),  # each comes once
        "counter": (result.edges, result.cycles),  # the circuit counts every edge
    }
    return {name: f"{got}, not {want}" for name, (got, want) in pairs.items() if not np.array_equal(got, want)}
