from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.privacy.observe import Observation, observe, observe_floats, softmax, stack


@dataclass
class FakeRun:
    outputs: np.ndarray
    logit_scale: float
    latency_cycles: np.ndarray
    masks: dict[str, np.ndarray]


@dataclass
class FakeCost:
    total_energy_pj: np.ndarray


RUN = FakeRun(
    outputs=np.array([[8, -2], [5, 5]], dtype=np.int32),
    logit_scale=0.5,
    latency_cycles=np.array([100, 104]),
    masks={"conv1": np.array([[[1, 0]], [[1, 1]]], dtype=bool), "conv2": np.array([[[1]], [[0]]], dtype=bool)},
)
COST = FakeCost(np.array([3.25, 4.5]))


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("logits", [[4.0, -1.0], [2.5, 2.5]]),
        ("label", [0, 0]),
        ("latency_cycles", [100, 104]),
        ("energy_pj", [3.25, 4.5]),
        ("sensitive_regions", [2, 2]),
    ],
)
def test_a_channel_reads_its_numbers(channel: str, expected: list[float]) -> None:
    seen = observe(RUN, COST, [channel])
    assert list(seen.channels) == [channel]
    assert seen.channels[channel].tolist() == expected
    assert channel in seen.threat


def test_probabilities_sum_to_one_at_any_size_of_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([[1e6, 0.0], [-1e6, -1e6]])), [[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(
        observe(RUN, COST, ["probabilities"]).channels["probabilities"][0], [1 / (1 + np.exp(-5)), 1 / (1 + np.exp(5))]
    )


def test_the_network_without_regions_has_none() -> None:
    run = FakeRun(RUN.outputs, 0.5, RUN.latency_cycles, {})
    assert observe(run, COST, ["sensitive_regions"]).channels["sensitive_regions"].tolist() == [0, 0]


def test_an_unknown_channel_gets_the_nearest_word() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'latency_cycles'"):
        observe(RUN, COST, ["latency_cycle"])


def test_a_float_model_has_outputs() -> None:
    seen = observe_floats(np.array([[0.5, 1.5]], dtype=np.float32), ["logits", "label"])
    assert seen.channels["logits"].dtype == np.float64
    assert seen.channels["label"].tolist() == [1]


@pytest.mark.parametrize("channel", ["latency_cycles", "energy_pj", "sensitive_regions"])
def test_a_float_model_has_no_chip(channel: str) -> None:
    with pytest.raises(HwsimError, match=f"runs on no accelerator, so it has no '{channel}'"):
        observe_floats(np.zeros((1, 2)), ["logits", channel])


def test_channels_must_agree_and_be_finite() -> None:
    with pytest.raises(BadInput, match="2 samples"):
        Observation({"a": np.zeros(3), "b": np.zeros(2)}, "")
    with pytest.raises(BadInput, match="NaN or infinity"):
        Observation({"a": np.array([np.nan])}, "")
    with pytest.raises(BadInput, match="at least one channel"):
        Observation({}, "")


def test_observations_stack_by_model() -> None:
    stacked = stack([Observation({"a": np.array([1, 2])}, ""), Observation({"a": np.array([3, 4])}, "")])
    assert stacked["a"].tolist() == [[1, 2], [3, 4]]
    with pytest.raises(BadInput, match=r"observations\[1\]"):
        stack([Observation({"a": np.array([1, 2])}, ""), Observation({"b": np.array([3, 4])}, "")])
