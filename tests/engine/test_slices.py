"""Slices of a batch, between which Ctrl-C is heard, change no bit; arrays of any layout compile no kernel anew."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwsim.engine.execute import SCHEDULE, available, compiled, execute
from hwsim.kernels import time_slices as module
from hwsim.kernels.inference.interpreter import run
from hwsim.kernels.time_slices import time_slices
from tests.support.agree import COMPILED
from tests.support.small_network import small_network

NETWORK = small_network()
CODES = np.random.default_rng(0).integers(0, 256, (37, *NETWORK.input_shape)).astype(np.uint8)


@pytest.mark.skipif(not COMPILED, reason="no compiler")
@pytest.mark.parametrize("samples", [1, 3, 36])
def test_slices_of_a_batch_change_no_bit(samples, monkeypatch):
    monkeypatch.setattr(module, "SLICE_SECONDS", 0.0)  # all slices but the first have one sample
    program = compiled(NETWORK, available()[0])
    assert program is not None
    names = [layer.name for layer in NETWORK.layers]
    whole = execute(NETWORK, CODES, capture=names)
    schedule = dataclasses.replace(SCHEDULE, first_slice_work=samples * program.work)
    sliced = execute(NETWORK, CODES, capture=names, schedule=schedule)
    np.testing.assert_array_equal(sliced.outputs, whole.outputs)
    for name in names:
        np.testing.assert_array_equal(sliced.codes[name], whole.codes[name])


def test_the_size_of_a_slice_follows_from_the_time_of_the_last_one(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    sizes = []
    for begin, end in time_slices(101, 8):
        sizes.append(end - begin)
        clock[0] += (end - begin) / 16
    assert sizes == [8] + [4] * 23 + [1]
    clock[0], sizes = 0.0, []
    for begin, end in time_slices(1000, 1):  # no time at all: the size grows by a factor
        sizes.append(end - begin)
    assert sizes == [1, 8, 64, 512, 415]


def layouts(codes: np.ndarray, folder) -> dict[str, np.ndarray]:
    """The same codes read-only, from a memory map, not contiguous, in Fortran's order, and byte-swapped."""
    read_only = codes.copy()
    read_only.setflags(write=False)
    np.save(folder / "codes.npy", codes)
    wide = np.zeros((len(codes), 2, *codes.shape[1:]), codes.dtype)
    wide[:, 1] = codes
    return {
        "read-only": read_only,
        "memory map": np.load(folder / "codes.npy", mmap_mode="r"),
        "strided": wide[:, 1],
        "fortran": np.asfortranarray(codes),
        "reversed": codes[::-1].copy()[::-1],
        "swapped": codes.astype(codes.dtype.newbyteorder(">")),
    }


@pytest.mark.skipif(not COMPILED, reason="no compiler")
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_arrays_of_any_layout_have_one_signature(dtype, tmp_path):
    codes = CODES.astype(dtype)
    wanted = execute(NETWORK, codes).outputs
    before = list(run.signatures)
    for name, same in layouts(codes, tmp_path).items():
        np.testing.assert_array_equal(execute(NETWORK, same).outputs, wanted, err_msg=name)
    assert run.signatures == before
