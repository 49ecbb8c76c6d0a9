"""How many threads a measurement may use."""

from __future__ import annotations

import numba
import torch

THREADS = 2
"""Of all rows, ours and peers."""


def use_threads(count: int = THREADS) -> None:
    """Limit Numba and torch in this process; onnxruntime takes the number when a session starts."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(count)
