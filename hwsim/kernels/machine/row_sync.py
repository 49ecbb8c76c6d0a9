"""Synchronization of array rows whose cycles differ from activation to activation: lock-step and elastic.

An activation code takes `t` cycles, its *steps*. With region precision these are the cycles of the full width
where the code is sensitive, and of the low width elsewhere; with zero skipping 0 or 1; bit-serially the
number of bits. Wavefront i takes `t[i, r]` cycles in row r of the array. Weight stationary, i is an output
pixel and r a position of the reduction; output stationary, i is a position of the reduction and r an output
pixel. In both cases the address of the code is a sum of two,

    t[i, r] = steps[sample, along_i[i] + along_r[r]],

in a flat map that includes the padding. A fold takes `rows` entries of `along_r`, the last fold the
remainder. With `group` > 1 that many neighboring rows of a fold share one input, and each takes the cycles of
the slowest row of the group.

In lock-step all rows wait for the slowest row, wavefront by wavefront. Elastic rows wait only for the partial
sum from above and for a free place below:

    begin[i, r] = max(end[i - 1, r], end[i, r - 1], begin[i - depth - 1, r + 1])
    end[i, r]   = begin[i, r] + t[i, r]

where `depth` partial sums fit between two rows, in addition to the output register of the upper row.
`reference.walk_variable_rows` simulates such rows cycle by cycle.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numba import get_num_threads, prange
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.errors import BadInput
from hwsim.kernels.compile import for_kernel, kernel
from hwsim.kernels.machine.simd_lanes import LANES, add_steps, advance, keep_larger
from hwsim.kernels.time_slices import time_slices

Ints = NDArray[np.int64]
Steps = NDArray[np.uint8]

MAX_CYCLES = 1 << 31
"""Bound of the times, which are int32: 255 cycles per wavefront and row of a fold must stay below it."""


def lockstep(steps: Steps, along_i: Ints, along_r: Ints, rows: int, group: int = 1) -> Ints:
    """Count the cycles of every fold on an array whose rows move in lock-step: int64 [sample, fold, 2].

    The first is the sum over wavefronts of their slowest row, the second the work of the busiest row (of its
    group). `steps` uint8 [sample, flat]; `along_i`, `along_r` int64.
    Raises BadInput for addresses outside of the map.

    >>> steps = np.array([[1, 4, 1, 4, 1, 1]], np.uint8)  # three wavefronts of two rows
    >>> lockstep(steps, np.array([0, 2, 4]), np.array([0, 1]), rows=2).tolist()
    [[[9, 9]]]
    >>> lockstep(steps, np.array([0, 2, 4]), np.array([0, 1]), rows=1).tolist()
    [[[3, 3], [9, 9]]]
    """
    _check(steps, along_i, along_r, rows, group, 0)
    cycles = np.zeros((len(steps), ceil_div(len(along_r), rows), 2), dtype=np.int64)
    part = _read_part(steps, along_i, along_r)
    for first, end in _slices(steps):
        _lockstep(part[0][first:end], *part[1:], rows, group, cycles[first:end])
    return cycles


def elastic(steps: Steps, along_i: Ints, along_r: Ints, rows: int, depth: int, group: int = 1) -> Ints:
    """Count the cycles of every fold on an array of elastic rows: int64 [sample, fold, 2].

    The first is the time at which the last row ends its last wavefront when the first wavefront begins at 0, its way
    through all rows included. The second is the work of the busiest row. `depth` partial sums fit between two rows;
    see the head of this file.

    >>> steps = np.array([[1, 4, 1, 4, 1, 1]], np.uint8)
    >>> elastic(steps, np.array([0, 2, 4]), np.array([0, 1]), rows=2, depth=0).tolist()
    [[[10, 9]]]
    """
    _check(steps, along_i, along_r, rows, group, depth)
    cycles = np.zeros((len(steps), ceil_div(len(along_r), rows), 2), dtype=np.int64)
    places = min(depth, len(along_i)) + 1  # no FIFO contains more than all partial sums
    part = _read_part(steps, along_i, along_r)
    for first, end in _slices(steps):
        _elastic(part[0][first:end], *part[1:], rows, places, group, cycles[first:end])
    return cycles


def total_steps(steps: Steps, along_i: Ints, along_r: Ints) -> Ints:
    """Sum the steps over all wavefronts and rows: int64 [sample].

    With a map of 0 and 1 this counts the products that meet the codes marked with 1.

    >>> total_steps(np.array([[1, 4, 1, 4, 1, 1]], np.uint8), np.array([0, 2, 4]), np.array([0, 1])).tolist()
    [12]
    """
    _check(steps, along_i, along_r, 1, 1, 0)
    totals = np.zeros(len(steps), dtype=np.int64)
    _weigh(for_kernel(steps), _readers(for_kernel(along_i), for_kernel(along_r), steps.shape[1]), totals)
    return totals


def _check(steps: Steps, along_i: Ints, along_r: Ints, rows: int, group: int, depth: int) -> None:
    if steps.dtype != np.uint8 or steps.ndim != 2:
        raise BadInput("steps", f"{steps.dtype} {steps.shape}", "uint8 [sample, flat]")
    for name, along in (("along_i", along_i), ("along_r", along_r)):
        if along.dtype != np.int64 or along.ndim != 1 or not along.size or along.min() < 0:
            raise BadInput(name, f"{along.dtype} {along.shape}", "int64 addresses from 0, one at least")
    last = int(along_i.max() + along_r.max())
    if last >= steps.shape[1]:
        raise BadInput("along_i + along_r", last, f"addresses below {steps.shape[1]}, the size of the map")
    for name, value, least in (("rows", rows, 1), ("group", group, 1), ("depth", depth, 0)):
        if value < least:
            raise BadInput(name, value, f"{least} or more")
    # the longest chain of dependences passes each wavefront once and each row once: a step back to the row below
    # costs a wavefront or more
    longest = len(along_i) + min(rows, len(along_r))
    if longest * 255 >= MAX_CYCLES:
        raise BadInput("wavefronts and rows", longest, f"together below {MAX_CYCLES // 255}")


def _read_part(steps: Steps, along_i: Ints, along_r: Ints) -> tuple[Steps, int, int, Ints, Ints]:
    """Return the map, the first read address, the number of read addresses, and both parts of an address from there."""
    first_i, first_r = int(along_i.min()), int(along_r.min())
    size = int(along_i.max() - first_i + along_r.max() - first_r) + 1
    return for_kernel(steps), first_i + first_r, size, along_i - first_i, along_r - first_r


def _slices(steps: Steps) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of slices of samples, whole blocks of LANES, between which Ctrl-C is heard."""
    for first, end in time_slices(ceil_div(len(steps), LANES), get_num_threads()):
        yield first * LANES, min(end * LANES, len(steps))


@kernel()
def _side_by_side(steps, block, begin, size):  # type: ignore[no-untyped-def]
    """Transpose `size` addresses from `begin` on of a block of samples, one sample per lane: uint8 [address, lane]."""
    lanes = np.zeros((size, LANES), np.uint8)
    for k in range(min(LANES, len(steps) - block * LANES)):
        codes = steps[block * LANES + k, begin : begin + size]
        for address in range(size):
            lanes[address, k] = codes[address]
    return lanes


@kernel()
def _slowest_of_group(slowest, steps, base, along_r, begin, end):  # type: ignore[no-untyped-def]
    """Write the largest steps of the rows from `begin` to `end` to row 0 of `slowest`."""
    slowest[0, :] = 0
    for r in range(begin, end):
        keep_larger(slowest, 0, steps, base + along_r[r])


@kernel()  # one thread: it is done before a second one has started
def _lockstep(steps, begin, size, along_i, along_r, rows, group, cycles):  # type: ignore[no-untyped-def]
    for block in range((len(steps) + LANES - 1) // LANES):
        lanes = _side_by_side(steps, block, begin, size)
        for fold in range(cycles.shape[1]):
            first = fold * rows
            _lockstep_fold(lanes, along_i, along_r[first : first + rows], group, cycles[block * LANES :, fold])


@kernel()
def _lockstep_fold(steps, along_i, along_r, group, cycles):  # type: ignore[no-untyped-def]
    groups = (len(along_r) + group - 1) // group
    work, total = np.zeros((groups, LANES), np.int32), np.zeros((1, LANES), np.int32)
    slowest = np.zeros((2, LANES), np.uint8)  # of the group, of the wavefront
    for i in range(len(along_i)):
        slowest[1, :] = 0
        for g in range(groups):
            _slowest_of_group(slowest, steps, along_i[i], along_r, g * group, min((g + 1) * group, len(along_r)))
            add_steps(work, g, slowest, 0)
            keep_larger(slowest, 1, slowest, 0)
        add_steps(total, 0, slowest, 1)
    _report(total[0], work, cycles)


@kernel(parallel=True)
def _elastic(steps, begin, size, along_i, along_r, rows, places, group, cycles):  # type: ignore[no-untyped-def]
    for block in prange((len(steps) + LANES - 1) // LANES):
        lanes = _side_by_side(steps, block, begin, size)
        for fold in range(cycles.shape[1]):
            first = fold * rows
            _elastic_fold(lanes, along_i, along_r[first : first + rows], places, group, cycles[block * LANES :, fold])


@kernel()
def _elastic_fold(steps, along_i, along_r, places, group, cycles):  # type: ignore[no-untyped-def]
    count, groups = len(along_r), (len(along_r) + group - 1) // group
    work = np.zeros((groups, LANES), np.int32)
    ends = np.zeros((count + 1, LANES), np.int32)  # of the last wavefront of each row; before the first row nothing
    begins = np.zeros((places, count + 1, LANES), np.int32)  # of the last wavefronts; below the last row nothing waits
    slowest = np.zeros((1, LANES), np.uint8)
    for i in range(len(along_i)):
        ring = begins[i % places]
        for g in range(groups):
            end = min((g + 1) * group, count)
            _slowest_of_group(slowest, steps, along_i[i], along_r, g * group, end)
            add_steps(work, g, slowest, 0)
            for r in range(g * group, end):
                advance(ends, r, ring, slowest, 0)
    _report(ends[count], work, cycles)


@kernel()
def _report(total, work, cycles):  # type: ignore[no-untyped-def]
    for k in range(min(LANES, len(cycles))):
        cycles[k, 0], cycles[k, 1] = total[k], work[:, k].max()


@kernel()
def _readers(along_i, along_r, size):  # type: ignore[no-untyped-def]
    """Count the pairs of wavefront and row that read each address: int64 [flat]."""
    readers = np.zeros(size, np.int64)
    for r in range(len(along_r)):
        for i in range(len(along_i)):
            readers[along_i[i] + along_r[r]] += 1
    return readers


@kernel()
def _weigh(steps, readers, totals):  # type: ignore[no-untyped-def]
    for n in range(len(steps)):
        total = np.int64(0)
        for address in range(len(readers)):
            total += steps[n, address] * readers[address]
        totals[n] = total
