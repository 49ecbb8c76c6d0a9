"""Execution of a network on a batch of codes, bit for bit as `hwsim.reference` defines it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hwsim import reference
from hwsim.arithmetic import ceil_div
from hwsim.arrays import integer_array
from hwsim.cache import per_object
from hwsim.engine.activation_capture import CaptureBuffer, Codes, allocate_captures, code_dtype
from hwsim.engine.compile import compile_network
from hwsim.engine.layouts import NotCompiled
from hwsim.engine.program import Program
from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.barrier import CallSlots
from hwsim.kernels.buffer_pool import BUFFERS
from hwsim.kernels.compile import JIT, for_kernel
from hwsim.kernels.inference.instructions import Batch, Captures
from hwsim.kernels.inference.microkernels import KERNELS
from hwsim.kernels.threads import run_on_threads
from hwsim.kernels.time_slices import time_slices
from hwsim.network.graph import Network

DEFINITION = "definition"
"""Name of the slow execution by `hwsim.reference`, which supports every network and needs no compiler."""


@dataclass(frozen=True)
class Schedule:
    """Division of a batch among threads and caches. No setting changes a bit of the result.

    Attributes
    ----------
    chunk_bytes : bytes of the maps of a chunk of samples: bounded memory that stays in the cache
    max_chunk : samples per chunk at most
    min_shared_work : products of a batch from which several threads share it; a smaller batch ends before
        a second thread has started
    first_slice_work : products of the first slice of a batch; the next slices follow from its time
    """

    chunk_bytes: int = 1 << 21
    max_chunk: int = 64
    min_shared_work: int = 1 << 21
    first_slice_work: int = 1 << 31


SCHEDULE = Schedule()


@dataclass(frozen=True, eq=False)
class Execution:
    """Results of one execution of a network.

    Attributes
    ----------
    outputs : int32 [sample, class], raw outputs
    masks : layer with region precision -> bool [sample, region row, region column], or [sample, channel,
        region row, region column] where each channel has a decision of its own; True where sensitive
    codes : captured value -> codes [sample, *shape] in the smallest dtype of its format; for the last
        layer, its outputs
    """

    outputs: NDArray[np.int32]
    masks: Mapping[str, NDArray[np.bool_]]
    codes: Mapping[str, Codes] = field(default_factory=dict)


def execute(
    network: Network,
    codes: NDArray[np.integer],
    kernels: str | None = None,
    capture: Iterable[str] = (),
    schedule: Schedule = SCHEDULE,
) -> Execution:
    """Execute `network` on input codes [sample, *input_shape] of any integer dtype.

    Every policy of the network is followed exactly. The result depends neither on the batch, nor on the
    number of threads, nor on `kernels` or `schedule`.

    Parameters
    ----------
    network : network to execute
    codes : input codes
    kernels : one of `available()`; the fastest by default
    capture : names of values (layers, or "input") whose codes are returned too. Captured codes take
        memory: split a large batch into parts
    schedule : division of the work

    Raises BadInput for codes of a wrong dtype, shape or range, and UnknownName for an unknown layer.
    """
    if not isinstance(network, Network):
        raise BadInput("network", f"a {type(network).__name__}", "a Network")
    codes = integer_array(codes, "inputs")
    _check_codes(network, codes)
    names = _known(network, capture)
    last = network.layers[-1].name
    inner = [name for name in names if name != last]
    program = compiled(network, _chosen(kernels), inner)
    if program is None:
        return _by_definition(network, codes, names)
    samples = len(codes)
    outputs = np.empty((samples, program.outputs), dtype=np.int32)
    masks = np.empty((samples, program.regions), dtype=np.bool_)
    captured = allocate_captures(network, program, inner, samples)
    if samples:
        _run(program, codes, outputs, masks, captured, schedule)
    by_layer = {
        name: masks[:, first : first + math.prod(shape)].reshape(samples, *shape)
        for name, first, shape in program.masks
    }
    captured_codes = {last: outputs.reshape(samples, *network.shapes[last]), **captured.codes}
    return Execution(outputs, by_layer, {name: captured_codes[name] for name in names})


def available() -> tuple[str, ...]:
    """Return the names of the kernels for this CPU, fastest first; all give the same bits.

    >>> available()[-1]
    'definition'
    """
    return (*(KERNELS if JIT else ()), DEFINITION)


def compiled(network: Network, kernels: str, stored: Iterable[str] = ()) -> Program | None:
    """Return the program of a network, compiled once per network; None where the kernels do not support it.

    The values named in `stored` are in memory at the end, which the fastest program does not guarantee.
    """
    kept: frozenset[str] = frozenset()
    program = _compiled(network, kernels, kept)
    # an add that may not take one convolution into its step takes the other, so a program may miss a value anew
    while program is not None and (missing := frozenset(stored).difference(program.value_maps)):
        kept |= missing
        program = _compiled(network, kernels, kept)
    return program


_programs = per_object(Network, dict[tuple[str, frozenset[str]], Program | None])


def _compiled(network: Network, kernels: str, stored: frozenset[str]) -> Program | None:
    programs = _programs.setdefault(network, {})
    if (kernels, stored) not in programs:
        try:
            program = None if kernels == DEFINITION else compile_network(network, kernels, stored)
        except NotCompiled:
            program = None
        programs[kernels, stored] = program
    return programs[kernels, stored]


def _chosen(kernels: str | None) -> str:
    if kernels is None:
        return available()[0]
    if kernels not in available():
        raise BadInput("kernels", kernels, ", ".join(available()))
    return kernels


def _known(network: Network, capture: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names of `capture`; raises BadInput and UnknownName."""
    if isinstance(capture, str):  # an iterable of characters, none of which is a layer
        raise BadInput("capture", repr(capture), "a list of names of layers", f"For one layer give [{capture!r}].")
    names = tuple(dict.fromkeys(capture))
    for name in names:
        if name not in network.shapes:
            raise UnknownName("capture", name, network.shapes)
    return names


def _run(
    program: Program,
    codes: NDArray[np.integer],
    outputs: NDArray[np.int32],
    masks: NDArray[np.bool_],
    captured: CaptureBuffer,
    schedule: Schedule,
) -> None:
    """Run a program on all samples, slice by slice, so that Ctrl-C is heard in between.

    Fills `outputs` [sample, output], `masks` [sample, decision] and the memory of `captured`.
    """
    first_slice = schedule.first_slice_work // program.work
    if len(outputs) <= first_slice:
        _run_slice(program, codes, outputs, masks, captured.captures, schedule)
        return
    for begin, end in time_slices(len(outputs), first_slice):
        part = slice(begin, end)
        _run_slice(program, codes[part], outputs[part], masks[part], captured.captures.after(begin), schedule)


def _run_slice(
    program: Program,
    codes: NDArray[np.integer],
    outputs: NDArray[np.int32],
    masks: NDArray[np.bool_],
    captures: Captures,
    schedule: Schedule,
) -> None:
    """Run a program on the samples of a slice and all threads, chunk by chunk or, for few samples, step by step."""
    from hwsim.kernels.inference.interpreter import run

    samples = len(outputs)
    threads = numba.get_num_threads() if samples * program.work >= schedule.min_shared_work else 1
    together = samples < 2 * threads
    chunk = samples if together else _chunk(program, samples, threads, schedule)
    most_workers = threads if together else min(threads, ceil_div(samples, chunk))
    maps, borders, size = program.layout(chunk)
    arrivals = np.zeros(1, dtype=np.int64)
    flat: NDArray[Any] = for_kernel(codes).reshape(-1)
    as_bytes = flat.dtype == np.uint8 and program.stores_codes
    wide = np.zeros(0, np.int32) if as_bytes else flat.astype(np.int32, copy=False)
    narrow = flat if as_bytes else np.zeros(0, np.uint8)
    batch = Batch(samples, chunk, wide, narrow, program.strides, program.first_code, outputs.reshape(-1), masks)

    with BUFFERS.lend(1 if together else most_workers, size) as arenas:

        def work(worker: int, workers: int, slots: CallSlots) -> None:
            arena = arenas[0 if together else worker]
            team = worker, workers, together, arrivals, *slots
            run(program.steps, maps, borders, *program.constants, *batch, *captures, arena, *team)

        run_on_threads(work, most_workers)


def _chunk(program: Program, samples: int, threads: int, schedule: Schedule) -> int:
    """Return the samples per chunk: limited by the cache, and with equally many chunks for all threads."""
    largest = max(1, min(schedule.chunk_bytes // program.bytes_per_sample, schedule.max_chunk))
    rounds = ceil_div(samples, largest * threads)
    return ceil_div(samples, rounds * threads)


def _by_definition(network: Network, codes: NDArray[np.integer], capture: tuple[str, ...]) -> Execution:
    done = reference.run(network, codes)
    masks = {
        layer.name: reference.sensitive_regions(layer.region, done[layer.inputs[0]])
        for layer in network.layers
        if layer.region is not None
    }
    last = done[network.layers[-1].name]
    outputs = last.reshape(len(codes), math.prod(last.shape[1:])).astype(np.int32)
    return Execution(outputs, masks, {name: done[name].astype(code_dtype(network.formats[name])) for name in capture})


def _check_codes(network: Network, codes: NDArray[np.integer]) -> None:
    if codes.ndim < 1 or codes.shape[1:] != network.input_shape:
        wanted = ", ".join(map(str, network.input_shape))
        raise BadInput("inputs", f"shape {codes.shape}", f"[samples, {wanted}]")
    network.input.require(codes, "inputs")
