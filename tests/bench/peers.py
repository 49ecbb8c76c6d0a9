"""Peers that compute the same network: onnxruntime in 8-bit integers and torch in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from hwsim.network.graph import Network
from tests.bench.float_twin import FloatTwin
from tests.bench.threads import THREADS
from tests.bench.timing import Array

ONNXRUNTIME, TORCH = "onnxruntime int8", "torch float32"

MIN_CORRELATION = {ONNXRUNTIME: 0.99, TORCH: 0.9}
"""Required correlation of a peer's logits with hwsim's; they differ by rounding only."""


def onnxruntime_int8(network: Network, threads: int = THREADS) -> Callable[[NDArray[np.integer]], Array]:
    """Return the network in an onnxruntime session with all graph optimizations, as a function from codes to logits."""
    import onnxruntime  # optional: the tests and all other rows do not need it

    from tests.bench.onnx_model import onnx_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = onnx_model(network).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda codes: session.run(None, {"input": codes})[0]


def torch_float32(network: Network) -> Callable[[torch.Tensor], Array]:
    """Return the float twin of the network, as a function from real inputs (see `real_inputs`) to real logits."""
    twin = FloatTwin(network).eval()

    def run(x: torch.Tensor) -> Array:
        with torch.inference_mode():
            return twin(x).numpy()

    return run


def real_inputs(network: Network, codes: NDArray[np.integer]) -> torch.Tensor:
    """Return the real inputs that the codes represent, float32."""
    return torch.from_numpy(codes.astype(np.float32) * np.float32(network.input_scale))


def require_alike(peer: str, output: Array, ours: Array) -> None:
    """Raise AssertionError if the peer's logits do not correlate with hwsim's: it computes another network then."""
    centered = [(logits - logits.mean(0)).ravel() for logits in (output, ours)]
    correlation = np.corrcoef(*centered)[0, 1]
    assert correlation > MIN_CORRELATION[peer], f"{peer}: logits correlate with hwsim's by {correlation:.3f} only"
