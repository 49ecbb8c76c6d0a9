"""The 8-bit matrix product alone, against torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.engine.execute import available, compiled
from hwsim.kernels.barrier import begin_call, end_call
from hwsim.kernels.inference.gemm import multiply
from hwsim.kernels.threads import Call, on_threads
from tests.bench.networks import linear_layer
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import Array, interleave

M, K, N = 4098, 576, 128


def rows() -> Iterator[Row]:
    """One product, uint8 [M, K] by int8 [N, K] transposed, summed in int32."""
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
    """The product by the kernel of a linear layer, ready to call: packed weights and the map of `a_u8` are given."""
    program = compiled(linear_layer(w_s8), available()[0])
    assert program is not None
    samples = len(a_u8)
    maps, _, size = program.arena(samples)
    (step,), (x, y) = program.steps, (maps[program.steps[0][name]] for name in ("x", "y"))
    arena = np.zeros(size, dtype=np.uint8)
    arena[x["origin"] :][: a_u8.size] = a_u8.reshape(-1)
    sums = np.empty((samples, len(w_s8)), dtype=np.int32)
    p, flat, threads = program, sums.reshape(-1), numba.get_num_threads()

    def part(index: int, call: Call) -> None:
        _product(step, x, y, arena, p.words, p.ints, p.floats, p.weights, flat, samples, index, threads, *call)

    def product() -> NDArray[np.int32]:
        on_threads(part, threads)
        return sums

    return product


@numba.njit(nogil=True)
def _product(step, x, y, arena, words, ints, floats, weights, sums, samples, part, parts, asked, served, call):
    begin_call(asked, call, part, parts)
    multiply(step, x, y, x, arena, words, ints, floats, weights, sums, samples, part, parts)
    end_call(asked, served, call, part, parts)


def torch_int8_gemm(a_u8: NDArray[np.uint8], w_s8: NDArray[np.int8]) -> Callable[[], Array]:
    """torch._int_mm with the weights in the layout that it likes best."""
    a, w = torch.from_numpy(a_u8), torch.from_numpy(w_s8).T.contiguous()

    def product() -> Array:
        return torch._int_mm(a, w).numpy()

    return product
