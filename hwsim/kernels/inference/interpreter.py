"""Run a compiled network: all of its steps, for a few samples that share one arena.

A program is a table of steps over maps (`kernels.words`). Large batches are cut into chunks of
samples, each of which goes through all steps on one thread while its maps are in the cache; a batch
too small for that goes step by step, each cut into as many parts as there are threads. Neither
changes a bit.
"""

from __future__ import annotations

import numpy as np

from hwsim.kernels.barrier import begin_call, end_call, meet
from hwsim.kernels.compile import kernel
from hwsim.kernels.inference import pointwise as m
from hwsim.kernels.inference.gemm import depthwise, multiply, multiply_exactly
from hwsim.kernels.inference.instructions import Kind

PRODUCT, DEPTHWISE, EXACT = int(Kind.PRODUCT), int(Kind.DEPTHWISE), int(Kind.EXACT)
MAX_POOL, SUM_POOL, ADD, RESCALE = int(Kind.MAX_POOL), int(Kind.SUM_POOL), int(Kind.ADD), int(Kind.RESCALE)
GATHER, PACK, SPLIT, MATMUL = int(Kind.GATHER), int(Kind.PACK), int(Kind.SPLIT), int(Kind.MATMUL)
SOFTMAX, LAYER_NORM = int(Kind.SOFTMAX), int(Kind.LAYER_NORM)


@kernel()
def _fill_borders(borders, arena):  # type: ignore[no-untyped-def]
    """Put the byte of the value zero into the maps that have a border: `borders` int64 [map, (start, length, byte)]."""
    for b in range(len(borders)):
        arena[borders[b, 0] : borders[b, 0] + borders[b, 1]] = np.uint8(borders[b, 2])


@kernel(nogil=True)
def run(  # type: ignore[no-untyped-def]
    steps, maps, borders, words, ints, floats, weights, strides, first_code, codes, codes8, logits, masks, records,
    kept, arena, samples, chunk, worker, workers, together, counter, asked, served, call,
):  # fmt: skip
    """The share of one of `workers` threads in running all steps for all samples.

    `codes` int32 or `codes8` uint8 [sample * size], the other one empty, `logits` int32 [sample *
    outputs], `masks` bool [sample, region] and `arena` uint8 are flat arrays; `records` and `kept` are
    those of `engine.kept`. Threads take turns at
    chunks of samples, each in an arena of its own, unless they work `together`: then all share one
    arena and every step, and meet after each, which `counter`, an int64 [1] that is 0 at first, counts.
    `asked`, `served` and `call` are those of `kernels.barrier`.
    """
    begin_call(asked, call, worker, workers)
    size, size8, outputs = len(codes) // samples, len(codes8) // samples, len(logits) // samples
    part, parts = (worker, workers) if together else (0, 1)
    first, stride = (0, 1) if together else (worker, workers)
    met = 0
    if part == 0:
        _fill_borders(borders, arena)
    if together:
        met += parts
        meet(counter.ctypes.data, met)
    for c in range(first, (samples + chunk - 1) // chunk, stride):
        begin, end = c * chunk, min((c + 1) * chunk, samples)
        images = end - begin
        flat, decided = logits[begin * outputs : end * outputs], masks[begin:end]
        m.load_codes(
            codes[begin * size : end * size], codes8[begin * size8 : end * size8], strides, maps[0], arena, images,
            first_code, part, parts,
        )  # fmt: skip
        for s in range(-1, len(steps)):
            if s >= 0:
                step = steps[s]
                x, other, y, kind = maps[step.x], maps[step.other], maps[step.y], step.kind
                if kind == PRODUCT:
                    multiply(step, x, y, other, arena, words, ints, floats, weights, flat, images, part, parts)
                elif kind == DEPTHWISE:
                    depthwise(step, x, y, arena, words, ints, weights, images, part, parts)
                elif kind == EXACT:
                    multiply_exactly(step, x, y, arena, words, floats, flat, images, part, parts)
                elif kind == MAX_POOL:
                    m.max_pool(step, x, y, arena, images, part, parts)
                elif kind == SUM_POOL:
                    m.sum_pool(step, x, y, arena, words, floats, images, part, parts)
                elif kind == ADD:
                    m.add(step, x, other, y, arena, words, images, part, parts)
                elif kind == RESCALE:
                    m.rescale(step, x, y, arena, words, images, part, parts)
                elif kind == GATHER:
                    m.gather(step, x, y, arena, words, images, part, parts)
                elif kind == PACK:
                    m.pack(step, x, y, arena, images, part, parts)
                elif kind == SPLIT:
                    m.split(step, x, y, arena, decided, images, part, parts)
                elif kind == MATMUL:
                    m.multiply_rows(step, x, other, y, arena, words, floats, images, part, parts)
                elif kind == SOFTMAX:
                    m.softmax(step, x, y, arena, words, images, part, parts)
                elif kind == LAYER_NORM:
                    m.layer_norm(step, x, y, arena, words, floats, images, part, parts)
            if together:
                met += parts
                meet(counter.ctypes.data, met)
        for k in range(len(records)):
            m.save_codes(records[k], maps[records[k, 0]], arena, kept, images, begin, part, parts)
    end_call(asked, served, call, worker, workers)
