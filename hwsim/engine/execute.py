"""Run a network on a batch of codes, bit for bit as `hwsim.reference` defines it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.engine.arenas import arenas
from hwsim.engine.compile import compile_network
from hwsim.engine.layouts import NotCompiled
from hwsim.engine.program import Program
from hwsim.engine.threads import Call, on_threads
from hwsim.errors import BadInput
from hwsim.kernels.compile import JIT
from hwsim.kernels.tiles import KERNELS
from hwsim.network.graph import Network

CHUNK_BYTES = 1 << 21
"""Samples run in chunks whose maps have about this size: bounded memory, and they stay in the cache."""

MAX_CHUNK = 64

SHARED_WORK = 1 << 21
"""A batch of fewer products is done before a second thread would be there."""

DEFINITION = "definition"
"""Name of the slow way: `hwsim.reference` itself, which runs everything and needs no compiler."""


@dataclass(frozen=True, eq=False)
class Execution:
    """What a network computed: raw outputs int32 [sample, class], and the sensitive regions that it met.

    `masks` has one bool array [sample, region row, region column] per layer with region precision.
    """

    outputs: NDArray[np.int32]
    masks: Mapping[str, NDArray[np.bool_]]


def execute(network: Network, codes: NDArray[np.integer], kernels: str | None = None) -> Execution:
    """Run `network` on input codes [sample, *input_shape] of any integer dtype.

    Every policy of the network is followed exactly, and the result depends neither on the batch nor
    on the number of threads, nor on `kernels`, which names one of `available()`; the fastest is the
    default. Raises BadInput for codes of the wrong dtype, shape or range.
    """
    _check_codes(network, codes)
    program = compiled(network, _chosen(kernels))
    if program is None:
        return _by_definition(network, codes)
    samples = len(codes)
    outputs = np.empty((samples, program.outputs), dtype=np.int32)
    masks = np.empty((samples, program.regions), dtype=np.bool_)
    if samples:
        _run(program, codes, outputs, masks)
    by_layer = {
        name: masks[:, first : first + rows * columns].reshape(samples, rows, columns)
        for name, first, rows, columns in program.masks
    }
    return Execution(outputs, by_layer)


def available() -> tuple[str, ...]:
    """The kernels that this CPU can run, fastest first; all give the same bits.

    >>> available()[-1]
    'definition'
    """
    return (*(KERNELS if JIT else ()), DEFINITION)


def compiled(network: Network, kernels: str) -> Program | None:
    """The program of a network, made once and kept as long as the network lives; None where there is none."""
    programs = _programs.setdefault(network, {})
    if kernels not in programs:
        try:
            programs[kernels] = None if kernels == DEFINITION else compile_network(network, kernels)
        except NotCompiled:
            programs[kernels] = None
    return programs[kernels]


_programs: WeakKeyDictionary[Network, dict[str, Program | None]] = WeakKeyDictionary()


def _chosen(kernels: str | None) -> str:
    if kernels is None:
        return available()[0]
    if kernels not in available():
        raise BadInput("kernels", kernels, ", ".join(available()))
    return kernels


def _run(program: Program, codes: NDArray[np.integer], outputs: NDArray[np.int32], masks: NDArray[np.bool_]) -> None:
    """All samples on all threads: chunk by chunk, or step by step where there are too few samples for that."""
    from hwsim.kernels.program import run

    p, samples = program, len(outputs)
    threads = numba.get_num_threads() if samples * p.work >= SHARED_WORK else 1
    together = samples < 2 * threads
    chunk = samples if together else _chunk(p, samples, threads)
    workers = threads if together else min(threads, -(-samples // chunk))
    maps, borders, size = p.arena(chunk)
    counter = np.zeros(1, dtype=np.int64)
    flat, logits = np.ascontiguousarray(codes).reshape(-1), outputs.reshape(-1)
    as_bytes = flat.dtype == np.uint8 and p.stores_codes
    wide = np.zeros(0, np.int32) if as_bytes else flat.astype(np.int32, copy=False)
    narrow = flat if as_bytes else np.zeros(0, np.uint8)

    with arenas(1 if together else workers, size) as lent:

        def work(worker: int, call: Call) -> None:
            run(
                p.steps, maps, borders, p.words, p.ints, p.floats, p.weights, p.strides, p.first_code, wide, narrow,
                logits, masks, lent[0 if together else worker], samples, chunk, worker, workers, together, counter,
                *call,
            )  # fmt: skip

        on_threads(work, workers, together)


def _chunk(program: Program, samples: int, threads: int) -> int:
    """Samples that run at once: as many as the cache takes, and so that all threads get as many chunks."""
    largest = max(1, min(CHUNK_BYTES // program.bytes_per_image, MAX_CHUNK))
    rounds = -(-samples // (largest * threads))
    return -(-samples // (rounds * threads))


def _by_definition(network: Network, codes: NDArray[np.integer]) -> Execution:
    done = reference.run(network, codes)
    masks = {
        layer.name: reference.sensitive_regions(layer.region, done[layer.inputs[0]])
        for layer in network.layers
        if layer.region is not None
    }
    last = done[network.layers[-1].name]
    return Execution(last.reshape(len(codes), int(np.prod(last.shape[1:]))).astype(np.int32), masks)


def _check_codes(network: Network, codes: NDArray[np.integer]) -> None:
    if codes.ndim < 1 or codes.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, network.input_shape))
        raise BadInput("inputs", f"shape {codes.shape}", f"[samples, {wanted}]")
    network.input.require(codes, "inputs")
