"""Run a network on a batch of codes, bit for bit as `hwsim.reference` defines it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.cache import per_object
from hwsim.engine.activation_capture import Captured, Codes, code_dtype, make_room
from hwsim.engine.compile import compile_network
from hwsim.engine.layouts import NotCompiled
from hwsim.engine.program import Program
from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.buffer_pool import arenas
from hwsim.kernels.compile import JIT
from hwsim.kernels.inference.microkernels import KERNELS
from hwsim.kernels.threads import Call, on_threads
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

    `masks` has one bool array per layer with region precision: [sample, region row, region column],
    or [sample, channel, region row, region column] where each channel decides for itself. `codes` has
    the values that were to be kept, [sample, *shape], each in the smallest dtype of its format; the
    last layer's are its outputs.
    """

    outputs: NDArray[np.int32]
    masks: Mapping[str, NDArray[np.bool_]]
    codes: Mapping[str, Codes] = field(default_factory=dict)


def execute(
    network: Network, codes: NDArray[np.integer], kernels: str | None = None, keep: Iterable[str] = ()
) -> Execution:
    """Run `network` on input codes [sample, *input_shape] of any integer dtype.

    Every policy of the network is followed exactly, and the result depends neither on the batch nor
    on the number of threads, nor on `kernels`, which names one of `available()`; the fastest is the
    default. The codes of the values named in `keep` (layers, or "input") are handed out too; what is
    kept takes memory, so a caller with many samples runs them in parts. Raises BadInput for codes of
    the wrong dtype, shape or range, and UnknownName for a layer that is not there.
    """
    _check_codes(network, codes)
    names = _known(network, keep)
    last = network.layers[-1].name
    inner = [name for name in names if name != last]
    program = compiled(network, _chosen(kernels), inner)
    if program is None:
        return _by_definition(network, codes, names)
    samples = len(codes)
    outputs = np.empty((samples, program.outputs), dtype=np.int32)
    masks = np.empty((samples, program.regions), dtype=np.bool_)
    kept = make_room(network, program, inner, samples)
    if samples:
        _run(program, codes, outputs, masks, kept)
    by_layer = {
        name: masks[:, first : first + math.prod(shape)].reshape(samples, *shape)
        for name, first, shape in program.masks
    }
    kept_codes = {last: outputs.reshape(samples, *network.shapes[last]), **kept.codes}
    return Execution(outputs, by_layer, {name: kept_codes[name] for name in names})


def available() -> tuple[str, ...]:
    """The kernels that this CPU can run, fastest first; all give the same bits.

    >>> available()[-1]
    'definition'
    """
    return (*(KERNELS if JIT else ()), DEFINITION)


def compiled(network: Network, kernels: str, written: Iterable[str] = ()) -> Program | None:
    """The program of a network, made once and kept as long as the network lives; None where there is none.

    The values named in `written` are in memory when it ends, which the fastest program need not do.
    """
    program = _compiled(network, kernels, frozenset())
    missing = frozenset(written).difference(program.places if program is not None else written)
    return _compiled(network, kernels, missing) if missing else program


def _compiled(network: Network, kernels: str, written: frozenset[str]) -> Program | None:
    programs = _programs.setdefault(network, {})
    if (kernels, written) not in programs:
        try:
            program = None if kernels == DEFINITION else compile_network(network, kernels, written)
        except NotCompiled:
            program = None
        programs[kernels, written] = program
    return programs[kernels, written]


_programs = per_object(Network, dict[tuple[str, frozenset[str]], Program | None])


def _chosen(kernels: str | None) -> str:
    if kernels is None:
        return available()[0]
    if kernels not in available():
        raise BadInput("kernels", kernels, ", ".join(available()))
    return kernels


def _known(network: Network, keep: Iterable[str]) -> tuple[str, ...]:
    """The names of `keep`, each once; raises UnknownName."""
    names = tuple(dict.fromkeys(keep))
    for name in names:
        if name not in network.shapes:
            raise UnknownName("keep", name, network.shapes)
    return names


def _run(
    program: Program, codes: NDArray[np.integer], outputs: NDArray[np.int32], masks: NDArray[np.bool_], kept: Captured
) -> None:
    """All samples on all threads: chunk by chunk, or step by step where there are too few samples for that."""
    from hwsim.kernels.inference.interpreter import run

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
                logits, masks, kept.records, kept.buffer, lent[0 if together else worker], samples, chunk, worker,
                workers, together, counter, *call,
            )  # fmt: skip

        on_threads(work, workers, together)


def _chunk(program: Program, samples: int, threads: int) -> int:
    """Samples that run at once: as many as the cache takes, and so that all threads get as many chunks."""
    largest = max(1, min(CHUNK_BYTES // program.bytes_per_image, MAX_CHUNK))
    rounds = -(-samples // (largest * threads))
    return -(-samples // (rounds * threads))


def _by_definition(network: Network, codes: NDArray[np.integer], keep: tuple[str, ...]) -> Execution:
    done = reference.run(network, codes)
    masks = {
        layer.name: reference.sensitive_regions(layer.region, done[layer.inputs[0]])
        for layer in network.layers
        if layer.region is not None
    }
    last = done[network.layers[-1].name]
    outputs = last.reshape(len(codes), math.prod(last.shape[1:])).astype(np.int32)
    return Execution(outputs, masks, {name: done[name].astype(code_dtype(network.formats[name])) for name in keep})


def _check_codes(network: Network, codes: NDArray[np.integer]) -> None:
    if codes.ndim < 1 or codes.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, network.input_shape))
        raise BadInput("inputs", f"shape {codes.shape}", f"[samples, {wanted}]")
    network.input.require(codes, "inputs")
