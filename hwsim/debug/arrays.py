"""Reader of integer arrays from untrusted .npy data."""

from __future__ import annotations

from typing import IO

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.files.npy import read_data, read_header


def read_integers(stream: IO[bytes], size: int, where: str) -> NDArray[np.int64]:
    """Read .npy data of `size` bytes as int64; raises BadInput, with the place `where`, for anything but integers.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([1.5]))
    >>> read_integers(io.BytesIO(file.getvalue()), len(file.getvalue()), "x.npy")
    Traceback (most recent call last):
    hwsim.errors.BadInput: x.npy: got float64 numbers; allowed: integer codes. Network.encode converts real ...
    """
    header = read_header(stream, where)
    if header.dtype.kind not in "iu":
        hint = "Network.encode converts real inputs to codes." if header.dtype.kind == "f" else ""
        raise BadInput(where, f"{header.dtype} numbers", "integer codes", hint)
    data = read_data(stream, header, size, where)
    if data.dtype == np.uint64 and data.size and data.max() > np.iinfo(np.int64).max:
        raise BadInput(where, int(data.max()), "signed 64-bit integers")
    return data.astype(np.int64, copy=False)
