"""The 8-bit matrix product, against torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.engine.execute import available, compiled
from hwsim.kernels.barrier import CallSlots, begin_call, end_call
from hwsim.kernels.inference.gemm import gemm
from hwsim.kernels.inference.instructions import Share
from hwsim.kernels.threads import run_on_threads
from tests.bench.networks import linear_layer
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import Array, interleave

M, K, N = 4098, 576, 128


def rows() -> Iterator[Row]:
    """Yield the row of one product, uint8 [M, K] by int8 [N, K] transposed, summed in int32."""
    use_threads()
    rng = np.random.default_rng(0)
    a_u8 = rng.integers(0, 256, (M, K), dtype=np.uint8)
    w_s8 = rng.integers(-127, 128, (N, K), dtype=np.int8)
    expected = (a_u8.astype(np.float64) @ w_s8.T.astype(np.float64)).astype(np.int32)  # below 2^53: exact
    calls = {"ours": our_int8_gemm(a_u8, w_s8), "torch": torch_int8_gemm(a_u8, w_s8)}
    seconds = interleave(calls, dict.fromkeys(calls, expected))
    rate = {name: M * K * N / value / 1e9 for name, value in seconds.items()}
    yield Row("gemm", f"int8 {M}x{K}x{N}", rate["ours"], "torch._int_mm", rate["torch"], "GMAC/s", goal=1.0)


def our_int8_gemm(a_u8: NDArray[np.uint8], w_s8: NDArray[np.int8]) -> Callable[[], NDArray[np.int32]]:
    """Return the product by the kernel of a linear layer, ready to call: weights are packed, `a_u8` is in its map."""
    program = compiled(linear_layer(w_s8), available()[0])
    assert program is not None
    samples = len(a_u8)
    maps, _, size = program.layout(samples)
    (step,), (x, y) = program.steps, (maps[program.steps[0][name]] for name in ("x", "y"))
    arena = np.zeros(size, dtype=np.uint8)
    arena[x["origin"] :][: a_u8.size] = a_u8.reshape(-1)
    sums = np.empty((samples, len(w_s8)), dtype=np.int32)
    constants, flat, threads = program.constants, sums.reshape(-1), numba.get_num_threads()

    def part(index: int, workers: int, slots: CallSlots) -> None:
        _product(step, x, y, arena, constants, flat, Share(samples, index, workers), slots)

    def product() -> NDArray[np.int32]:
        run_on_threads(part, threads)
        return sums

    return product


@numba.njit(nogil=True)
def _product(step, x, y, arena, constants, sums, share, slots):
    begin_call(slots, share.part, share.parts)
    gemm(step, x, y, x, arena, constants, sums, share)
    end_call(slots, share.part, share.parts)


def torch_int8_gemm(a_u8: NDArray[np.uint8], w_s8: NDArray[np.int8]) -> Callable[[], Array]:
    """Return torch._int_mm with the weights in its fastest layout, ready to call."""
    a, w = torch.from_numpy(a_u8), torch.from_numpy(w_s8).T.contiguous()

    def product() -> Array:
        return torch._int_mm(a, w).numpy()

    return product
