"""Input codes for a network: read from a file and checked, or drawn from a fixed seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.arrays import read_integers
from hwsim.debug.runs import RunFile
from hwsim.errors import BadInput, HwsimError
from hwsim.files.reading import open_file
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT
from hwsim.rng import stream

SEED = 0
"""Seed of the random codes that are used without an input file; each sample has its own random stream."""

RANDOM_SAMPLES = 8
"""Number of random samples of a run."""

Ints = NDArray[np.int64]


def random_codes(network: Network, first: int = 0, samples: int = 1) -> Ints:
    """Return `samples` random samples from index `first` on, uniform over the input format: int64 [sample, *shape].

    Sample n does not depend on the other samples: its generator is `hwsim.rng.stream(0, "inspect", n)`.
    """
    low, high = network.input.qmin, network.input.qmax
    rows = [
        stream(SEED, "inspect", number).integers(low, high, network.input_shape, endpoint=True)
        for number in range(first, first + samples)
    ]
    return np.array(rows, dtype=np.int64).reshape(samples, *network.input_shape)


def read_codes(path: Path, network: Network) -> Ints:
    """Read int64 codes [sample, *shape] from a .npy file, [sample, *shape] or [*shape], or from a traced run."""
    return check_codes(network, _read(path), str(path))


def check_codes(network: Network, codes: NDArray[np.integer], where: str = "codes") -> Ints:
    """Return the codes as int64 [sample, *shape]; raises BadInput, with the place `where`, unless they fit."""
    if not np.issubdtype(codes.dtype, np.integer):
        hint = "Network.encode converts real inputs to codes." if np.issubdtype(codes.dtype, np.floating) else ""
        raise BadInput(where, f"dtype {codes.dtype}", "integer codes", hint)
    shape = network.input_shape
    if codes.shape not in (shape, (*codes.shape[:1], *shape)):
        wanted = ",".join(map(str, shape))
        raise BadInput(where, f"shape {','.join(map(str, codes.shape))}", f"samples,{wanted}, or {wanted} for one")
    network.input.require(codes, where)
    return codes.reshape(-1 if codes.size else 0, *shape).astype(np.int64)


def _read(path: Path) -> NDArray[np.int64]:
    with open_file(path) as file:
        try:
            is_zip = file.read(2) == b"PK"
            size = file.seek(0, 2)
            file.seek(0)
            if not is_zip:
                return read_integers(file, size, str(path))
        except OSError as error:
            raise HwsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    run = RunFile(path)
    if INPUT not in run:
        raise BadInput(str(path), "a .npz without an entry 'input'", "a .npy of codes, or a run that hwsim trace wrote")
    return run[INPUT]
