"""Number of threads of all measurements."""

from __future__ import annotations

import numba
import torch

THREADS = 2
"""Threads of hwsim and of every peer."""


def use_threads(count: int = THREADS) -> None:
    """Limit Numba and torch in this process; onnxruntime takes the number at the start of a session."""
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    torch.set_num_threads(count)
