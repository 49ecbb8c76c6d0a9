"""Images per second of 8-bit networks, against onnxruntime in integers and torch in float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from hwsim.network.graph import Network
from tests.bench.exact import exact_outputs, run_ours
from tests.bench.networks import random_images, resnet18, resnet20
from tests.bench.peers import ONNXRUNTIME, TORCH, onnxruntime_int8, real_inputs, require_alike, torch_float32
from tests.bench.row import UNKNOWN, Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave


def rows() -> Iterator[Row]:
    """Yield the rows of ResNet-20 and ResNet-18 at batch 64 and batch 1."""
    use_threads()
    small, large = resnet20(), resnet18()
    yield from compare(small, "ResNet-20", 64, {ONNXRUNTIME: 2.0, TORCH: 4.0})
    yield from compare(large, "ResNet-18", 64, {ONNXRUNTIME: 1.1, TORCH: UNKNOWN})
    yield from compare(small, "ResNet-20", 1, {ONNXRUNTIME: 1.0})
    yield from compare(large, "ResNet-18", 1, {ONNXRUNTIME: 1.0})


def compare(
    network: Network, name: str, batch: int, goals: Mapping[str, float], seconds: float = 6.0, group: str = "networks"
) -> Iterator[Row]:
    """Yield one row per peer in `goals`, measured in turns; every peer must compute the same network."""
    codes, check = random_images(network, batch), random_images(network, 64)
    ours, peers = exact_outputs(network, check), {}
    if ONNXRUNTIME in goals:
        session = onnxruntime_int8(network)
        require_alike(ONNXRUNTIME, session(check), ours)
        peers[ONNXRUNTIME] = partial(session, codes)
    if TORCH in goals:
        twin = torch_float32(network)
        require_alike(TORCH, twin(real_inputs(network, check)), ours)
        peers[TORCH] = partial(twin, real_inputs(network, codes))
    expected = {"ours": exact_outputs(network, codes)} | {peer: call() for peer, call in peers.items()}
    times = interleave({"ours": partial(run_ours, network, codes), **peers}, expected, seconds)
    rate = {side: batch / value for side, value in times.items()}
    for peer, goal in goals.items():
        yield Row(group, f"{name} batch {batch}", rate["ours"], peer, rate[peer], "images/s", goal)
