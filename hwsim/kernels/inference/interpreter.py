"""Interpreter of compiled networks: executes all steps of a program for a few samples that share one arena.

A program is a table of steps over maps (`inference.instructions`). A large batch is cut into chunks of
samples; one thread executes all steps of a chunk while its maps are in the cache. A smaller batch is
executed step by step, and all threads share each step. Neither choice changes a bit.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels.barrier import CallSlots, Team, barrier_wait, begin_call, end_call, is_canceled
from hwsim.kernels.compile import kernel
from hwsim.kernels.inference import pointwise
from hwsim.kernels.inference.gemm import depthwise, gemm, gemm_int64
from hwsim.kernels.inference.instructions import Batch, Captures, Constants, Share, StepKind

GEMM, DEPTHWISE, GEMM_INT64 = int(StepKind.GEMM), int(StepKind.DEPTHWISE), int(StepKind.GEMM_INT64)
MAX_POOL, SUM_POOL, ADD = int(StepKind.MAX_POOL), int(StepKind.SUM_POOL), int(StepKind.ADD)
RESCALE, GATHER, PACK_BITS = int(StepKind.RESCALE), int(StepKind.GATHER), int(StepKind.PACK_BITS)
SPLIT_REGIONS, MATMUL = int(StepKind.SPLIT_REGIONS), int(StepKind.MATMUL)
SOFTMAX, LAYER_NORM = int(StepKind.SOFTMAX), int(StepKind.LAYER_NORM)


@kernel()
def _fill_borders(borders, arena):  # type: ignore[no-untyped-def]
    """Fill the maps that have a border with the stored value zero: `borders` int64 [map, (start, length, byte)]."""
    for b in range(len(borders)):
        arena[borders[b, 0] : borders[b, 0] + borders[b, 1]] = np.uint8(borders[b, 2])


@kernel()
def _execute(step, maps, arena, constants, logits, masks, share):  # type: ignore[no-untyped-def]
    """Execute a thread's share of one step; `logits` and `masks` are those of the chunk."""
    x, other, y, kind = maps[step.x], maps[step.other], maps[step.y], step.kind
    if kind == GEMM:
        gemm(step, x, y, other, arena, constants, logits, share)
    elif kind == DEPTHWISE:
        depthwise(step, x, y, arena, constants, share)
    elif kind == GEMM_INT64:
        gemm_int64(step, x, y, arena, constants, logits, share)
    elif kind == MAX_POOL:
        pointwise.max_pool(step, x, y, arena, share)
    elif kind == SUM_POOL:
        pointwise.sum_pool(step, x, y, arena, constants, share)
    elif kind == ADD:
        pointwise.add(step, x, other, y, arena, constants, share)
    elif kind == RESCALE:
        pointwise.rescale(step, x, y, arena, constants, share)
    elif kind == GATHER:
        pointwise.gather(step, x, y, arena, constants, share)
    elif kind == PACK_BITS:
        pointwise.pack_bits(step, x, y, arena, share)
    elif kind == SPLIT_REGIONS:
        pointwise.split_regions(step, x, y, arena, masks, share)
    elif kind == MATMUL:
        pointwise.matmul(step, x, other, y, arena, constants, share)
    elif kind == SOFTMAX:
        pointwise.softmax(step, x, y, arena, constants, share)
    elif kind == LAYER_NORM:
        pointwise.layer_norm(step, x, y, arena, constants, share)


@kernel(nogil=True)
def run(  # type: ignore[no-untyped-def]
    steps, maps, borders, longs, ints, floats, weights, samples, chunk, codes, codes8, strides, first_code, logits,
    masks, records, buffer, arena, worker, workers, together, arrivals, requested, completed, number,
):  # fmt: skip
    """Execute one thread's share of all steps for all samples of a batch.

    Threads take turns at chunks of samples, each in an arena of its own. A team that works together
    shares one arena and every step, with a barrier after each step.

    The fields of the tuples are separate arguments in the order of the tuples: unboxing a NamedTuple takes
    10 % of the time of a small network.

    Parameters
    ----------
    steps : STEP [step]
    maps : MAP [map], for `chunk` samples
    borders : int64 [map, (start, length, byte)]
    longs ... weights : fields of Constants
    samples ... masks : fields of Batch
    records, buffer : fields of Captures
    arena : uint8, memory of the maps
    worker ... arrivals : fields of Team
    requested ... number : fields of CallSlots
    """
    constants = Constants(longs, ints, floats, weights)
    batch = Batch(samples, chunk, codes, codes8, strides, first_code, logits, masks)
    captures = Captures(records, buffer)
    team = Team(worker, workers, together, arrivals, CallSlots(requested, completed, number))
    _run(steps, maps, borders, constants, batch, captures, arena, team)


@kernel()
def _run(steps, maps, borders, constants, batch, captures, arena, team):  # type: ignore[no-untyped-def]
    """`run` with its arguments in tuples."""
    begin_call(team.slots, team.worker, team.workers)
    _run_share(steps, maps, borders, constants, batch, captures, arena, team)
    end_call(team.slots, team.worker, team.workers)


@kernel()
def _run_share(steps, maps, borders, constants, batch, captures, arena, team):  # type: ignore[no-untyped-def]
    """`_run` between begin and end of the call; returns early where another thread has failed."""
    part, parts = (team.worker, team.workers) if team.together else (0, 1)
    first, stride = (0, 1) if team.together else (team.worker, team.workers)
    samples, outputs = batch.samples, len(batch.logits) // batch.samples
    arrivals, reached = team.arrivals, 0
    if part == 0:
        _fill_borders(borders, arena)
    if team.together:
        reached += parts
        if not barrier_wait(arrivals.ctypes.data, reached, team.slots):
            return
    for c in range(first, (samples + batch.chunk - 1) // batch.chunk, stride):
        if is_canceled(team.slots):
            return
        begin, end = c * batch.chunk, min((c + 1) * batch.chunk, samples)
        share = Share(end - begin, part, parts)
        logits, masks = batch.logits[begin * outputs : end * outputs], batch.masks[begin:end]
        pointwise.load_codes(batch, begin, maps[0], arena, share)
        for s in range(-1, len(steps)):  # -1: the input codes, which need a barrier too
            if s >= 0:
                _execute(steps[s], maps, arena, constants, logits, masks, share)
            if team.together:
                reached += parts
                if not barrier_wait(arrivals.ctypes.data, reached, team.slots):
                    return
        for k in range(len(captures.records)):
            record = captures.records[k]
            pointwise.save_codes(record, maps[record[0]], arena, captures.buffer, begin, share)
