"""The peers that compute the same network: onnxruntime in 8-bit integers and torch in float32."""

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
"""Between a peer's logits and ours: it rounds ties otherwise, or not at all, but computes the same network."""


def onnxruntime_int8(network: Network, threads: int = THREADS) -> Callable[[NDArray[np.integer]], Array]:
    """The network as integer operators in a session with every graph optimization: codes to logits."""
    import onnxruntime  # here, so that the other rows and the tests do without it

    from tests.bench.onnx_model import onnx_model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    model = onnx_model(network).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda codes: session.run(None, {"input": codes})[0]


def torch_float32(network: Network) -> Callable[[torch.Tensor], Array]:
    """The float twin of the network: real inputs (see `real_inputs`) to real logits."""
    twin = FloatTwin(network).eval()

    def run(x: torch.Tensor) -> Array:
        with torch.inference_mode():
            return twin(x).numpy()

    return run


def real_inputs(network: Network, codes: NDArray[np.integer]) -> torch.Tensor:
    """What the codes stand for, float32."""
    return torch.from_numpy(codes.astype(np.float32) * np.float32(network.input_scale))


def require_alike(peer: str, output: Array, ours: Array) -> None:
    """Raise AssertionError unless the peer's logits follow ours: else it did other work."""
    centered = [(logits - logits.mean(0)).ravel() for logits in (output, ours)]
    correlation = np.corrcoef(*centered)[0, 1]
    assert correlation > MIN_CORRELATION[peer], f"{peer}: logits correlate with ours by {correlation:.3f} only"
