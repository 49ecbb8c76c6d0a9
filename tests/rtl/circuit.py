"""The circuit in this process: runs jobs, gives back integers and its own count of cycles."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.rtl.build import Array, library
from tests.rtl.job import Ints, Job

LIMIT = 100_000
"""Cycles after which a job that is not done is given up."""

CIRCUIT = 0
FAULTS = (
    "shift", "signed", "minus_128", "mask_lost", "mask_unseen", "state", "early", "stall", "forget", "ties", "room",
)  # fmt: skip
"""The faults of accel_models/rtl/mutants.v, from number 1 on."""

SETTINGS = (
    "pixels", "k_folds", "n_folds", "log_w", "log_a", "w_signed", "a_signed", "zero_point", "low", "high", "mutant",
)  # fmt: skip
ARRAYS = ("w", "a", "mask", "hold", "bias", "multiplier", "shift", "accumulator", "code", "arrived")


class _Layer(ctypes.Structure):
    """`struct Layer` of harness.cpp."""

    _fields_ = [(name, ctypes.c_int32) for name in SETTINGS] + [(name, ctypes.c_void_p) for name in ARRAYS]


@dataclass(frozen=True, eq=False)
class Result:
    """What came out: int64 [M, N] twice, how often each vector came [M, n fold], and the circuit's counter.

    `edges` are the clock edges that the harness counted while the circuit was busy, -1 if it never ended.
    """

    accumulators: Ints
    codes: Ints
    arrived: NDArray[np.int32]
    cycles: int
    edges: int


class Circuit:
    """One instance of an array, reset once."""

    def __init__(self, array: Array) -> None:
        self._lib = _load(array)
        self._handle = self._lib.circuit_new()

    def __enter__(self) -> Circuit:
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.circuit_free(self._handle)

    def run(self, job: Job, mutant: int = CIRCUIT) -> Result:
        """One layer, from `start` to the last vector."""
        mode, emission = job.mode, job.emission
        width = job.n_folds * job.array.cols
        given = {
            "w": job.w_words(),
            "a": job.a_words(),
            "mask": job.row_masks().astype(np.uint8),
            "hold": job.hold.astype(np.int32),
            "bias": job.by_column(job.bias),
            "multiplier": job.by_column(emission.multiplier),
            "shift": job.by_column(emission.shift),
            "accumulator": np.zeros((job.pixels, width), np.int32),
            "code": np.zeros((job.pixels, width), np.int32),
            "arrived": np.zeros((job.pixels, job.n_folds), np.int32),
        }
        arrays = {name: np.ascontiguousarray(array) for name, array in given.items()}
        layer = _Layer(
            job.pixels, job.k_folds, job.n_folds, mode.w_bits.bit_length() - 2, mode.a_bits.bit_length() - 2,
            mode.w_signed, mode.a_signed, emission.zero_point, emission.low, emission.high, mutant,
            *(arrays[name].ctypes.data for name in ARRAYS),
        )  # fmt: skip
        cycles = ctypes.c_uint32()
        edges = self._lib.circuit_run(self._handle, ctypes.byref(layer), LIMIT, ctypes.byref(cycles))
        filters = job.w.shape[1]
        out = (arrays[name][:, :filters].astype(np.int64) for name in ("accumulator", "code"))
        return Result(*out, arrays["arrived"], cycles.value, edges)


def run(job: Job, fault: str | None = None) -> Result:
    """A job on a new instance, with one fault of `FAULTS` or none."""
    with Circuit(job.array) as circuit:
        return circuit.run(job, CIRCUIT if fault is None else 1 + FAULTS.index(fault))


@cache
def _load(array: Array) -> ctypes.CDLL:
    lib = ctypes.CDLL(str(library(array)))
    lib.circuit_new.restype = ctypes.c_void_p
    lib.circuit_free.argtypes = [ctypes.c_void_p]
    lib.circuit_free.restype = None
    lib.circuit_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p]
    lib.circuit_run.restype = ctypes.c_int64
    return lib
