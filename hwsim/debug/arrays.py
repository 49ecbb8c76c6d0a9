"""Reader of integer arrays from untrusted .npy data: no pickle, and sizes are checked before memory is taken."""

from __future__ import annotations

import math
from typing import IO

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_integers(stream: IO[bytes], size: int, where: str) -> NDArray[np.int64]:
    """Read .npy data of `size` bytes as int64; raises BadInput, with the place `where`, for anything but integers.

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.array([1.5]))
    >>> read_integers(io.BytesIO(file.getvalue()), len(file.getvalue()), "x.npy")
    Traceback (most recent call last):
    hwsim.errors.BadInput: x.npy: got float64 numbers; allowed: integer codes. Network.encode converts real ...
    """
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise BadInput(where, f".npy version {version[0]}.{version[1]}", "1.0 and 2.0")
        shape, by_columns, dtype = _HEADERS[version](stream)
    except (ValueError, EOFError) as error:
        raise HwsimError(f"{where}: no .npy data ({str(error).splitlines()[0]})") from None
    if not np.issubdtype(dtype, np.integer):
        hint = "Network.encode converts real inputs to codes." if np.issubdtype(dtype, np.floating) else ""
        raise BadInput(where, f"{dtype} numbers", "integer codes", hint)
    wanted = math.prod(shape) * dtype.itemsize
    if size - stream.tell() != wanted:
        raise BadInput(where, f"{size - stream.tell()} bytes of data", f"{wanted}, as its header says")
    data = np.frombuffer(stream.read(wanted), dtype=dtype)
    if dtype == np.uint64 and data.size and data.max() > np.iinfo(np.int64).max:
        raise BadInput(where, int(data.max()), "signed 64-bit integers")
    return data.astype(np.int64).reshape(shape, order="F" if by_columns else "C")
