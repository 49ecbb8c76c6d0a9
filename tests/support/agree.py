"""Checks that all kernels give the bits of the definition, and small layers to check."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numba
import numpy as np

from hwsim import reference
from hwsim.engine import execute as engine
from hwsim.engine.execute import DEFINITION, Execution, Schedule, available, compiled
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.kernels.inference.instructions import Epilogue, StepKind
from hwsim.network.fixed_point import add_requantizer, requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import (
    INPUT,
    INT32,
    POINTWISE,
    Accumulator,
    Geometry,
    Layer,
    Op,
    Region,
    Requantizer,
    Thresholds,
)

U8, S8, S16 = Format(8), Format(8, signed=True), Format(16, signed=True)
COMPILED = tuple(name for name in available() if name != DEFINITION)


SHARED = Schedule(min_shared_work=0)
"""All threads share every batch, though the networks of tests are small."""


def execute(
    network: Network,
    codes: np.ndarray,
    kernels: str | None = None,
    capture: Iterable[str] = (),
    schedule: Schedule = SHARED,
) -> Execution:
    """`hwsim.execute` on all threads."""
    return engine.execute(network, codes, kernels, capture, schedule)


def by_reference(network: Network, codes: np.ndarray) -> Execution:
    """Return outputs and masks computed by `hwsim.reference`."""
    done = reference.run(network, codes)
    masks = {
        layer.name: reference.sensitive_regions(layer.region, done[layer.inputs[0]])
        for layer in network.layers
        if layer.region is not None
    }
    return Execution(done[network.layers[-1].name].reshape(len(codes), -1), masks)


def assert_same(got: Execution, wanted: Execution) -> None:
    assert got.outputs.dtype == np.int32
    np.testing.assert_array_equal(got.outputs, wanted.outputs)
    assert got.masks.keys() == wanted.masks.keys()
    for name, mask in wanted.masks.items():
        np.testing.assert_array_equal(got.masks[name], mask)


def assert_kernels_agree(network: Network, codes: np.ndarray, compiles: bool = True) -> Execution:
    """Compare all kernels with the definition; with `compiles` none may fall back to it. Returns the right results."""
    wanted = by_reference(network, codes)
    for kernels in available():
        assert kernels == DEFINITION or not compiles or compiled(network, kernels) is not None
        for same in as_dtypes(network, codes):
            assert_same(execute(network, same, kernels), wanted)
    return wanted


def as_dtypes(network: Network, codes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the codes unchanged and, where they fit, as bytes, which are read without a copy."""
    yield codes
    if network.input.qmin >= 0 and network.input.qmax <= 255:
        yield codes.astype(np.uint8)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run kernels on `count` threads, or on as many as the machine has."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def assert_cuts_agree(network: Network, codes: np.ndarray, kernels: str, chunks: tuple[int, ...] = (1, 300)) -> None:
    """Compare one and two threads, small and large chunks, and single samples: all give the same bits."""
    wanted = by_reference(network, codes)
    for count in (1, 2):
        with threads(count):
            for chunk_bytes in (*chunks, SHARED.chunk_bytes):
                schedule = dataclasses.replace(SHARED, chunk_bytes=chunk_bytes)
                for same in as_dtypes(network, codes):
                    assert_same(execute(network, same, kernels, schedule=schedule), wanted)
            single = [execute(network, codes[i : i + 1], kernels) for i in range(len(codes))]
            masks = {name: np.concatenate([one.masks[name] for one in single]) for name in wanted.masks}
            assert_same(Execution(np.concatenate([one.outputs for one in single]), masks), wanted)


def steps(network: Network, kernels: str) -> list[tuple[StepKind, Epilogue | None]]:
    """Return kind and epilogue of the steps of a network's compiled program."""
    program = compiled(network, kernels)
    assert program is not None
    return [
        (StepKind(step["kind"]), Epilogue(step["epilogue"]) if step["epilogue"] else None) for step in program.steps
    ]


def random_codes(seed: int, format: Format, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(format.qmin, format.qmax + 1, shape)


def tensor(codes: object, format: Format = S8) -> QTensor:
    return QTensor(np.asarray(codes).astype(format.dtype), format)


def spreading(terms: int, w: Format = S8, output: Format = U8, bits: int = 32) -> Requantizer:
    """Return a requantizer that spreads sums of `terms` random products of bytes over the output's codes.

    Accumulators of more than 32 `bits` take a multiplier of 15 bits.
    """
    spread = terms**0.5 * 128 * w.max_magnitude / 2
    r = requantizer(2**output.bits / 4 / spread, output, relu=False)
    short = 16 if bits > 32 else 0
    return dataclasses.replace(r, multiplier=r.multiplier >> short, shift=r.shift - short)


def conv(
    name: str, source: str, channels: int, filters: int, geometry: Geometry = POINTWISE, *,
    w: Format = S8, output: Format = U8, r: Requantizer | Thresholds | None = None, last: bool = False,
    accumulator: Accumulator = INT32, region: Region | None = None, seed: int = 0,
) -> Layer:  # fmt: skip
    """Return a convolution with random weights; unless it is the last, its sums spread over the output's codes."""
    shape = filters, channels // geometry.groups, *geometry.kernel
    bias = np.random.default_rng(seed + 1).integers(-2000, 2000, filters)
    r = None if last else r or spreading(int(np.prod(shape[1:])), w, output, accumulator.bits)
    weight = tensor(random_codes(seed, w, *shape), w)
    output = LOGITS if last else output
    return Layer(name, Op.CONV, (source,), output, 1.0, weight, bias, r, geometry, region, accumulator)


def add(first: str, second: str, output: Format = U8, r: Requantizer | None = None) -> Layer:
    r = r or add_requantizer(0.61, 0.37, output, relu=False)
    return Layer("add", Op.ADD, (first, second), output, requantizer=r)


def linear(
    weight: object, w: Format = S8, bias: object = None, source: str = INPUT, name: str = "out", r=None,
    output: Format = LOGITS, accumulator: Accumulator = INT32,
) -> Layer:  # fmt: skip
    """Return a linear layer, by default the last layer of its network."""
    codes = np.asarray(weight)
    bias = np.zeros(len(codes), np.int64) if bias is None else np.asarray(bias, dtype=np.int64)
    return Layer(name, Op.LINEAR, (source,), output, 1.0, tensor(codes, w), bias, r, accumulator=accumulator)


def network(x: Format, shape: tuple[int, ...], *layers: Layer) -> Network:
    return Network(x, shape, 1 / 255, layers)
