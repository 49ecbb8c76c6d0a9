from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError, UnknownName
from hwsim.privacy.observation.channels.base import DeployedModel, HardwareRun
from hwsim.privacy.observation.channels.outputs import Logits, Probabilities, TopK, softmax
from hwsim.privacy.observation.channels.side_channels import EnergyPj, LatencyCycles
from hwsim.privacy.observation.observe import Observation, observe, observe_floats, observe_model, stack


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
        ("region_counts", [[1, 1], [2, 0]]),
        ("precision_map", [[1, 0, 1], [1, 1, 0]]),
    ],
)
def test_a_channel_reads_its_numbers(channel: str, expected: list[float]) -> None:
    seen = observe(RUN, COST, [channel])
    assert list(seen.channels) == [channel]
    assert seen.channels[channel].tolist() == expected
    assert channel in seen.threat_model


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


@pytest.mark.parametrize("channel", ["latency_cycles", "energy_pj", "sensitive_regions", "precision_map"])
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


def test_inputs_that_all_models_share_are_not_copied() -> None:
    inputs = np.zeros((3, 2))
    stacked = stack([Observation({"inputs": inputs}, "")] * 4)["inputs"]
    assert stacked.shape == (4, 3, 2)
    assert np.shares_memory(stacked, inputs)


def port(outputs: list[list[int]], full_scale: float = 127.0) -> DeployedModel:
    return DeployedModel(np.array(outputs, dtype=np.int32), 0.5, full_scale, chip=HardwareRun(RUN, COST))


def test_a_narrow_port_rounds_half_up_and_saturates() -> None:
    codes, step = port([[126, 127, 500, -500, 3, -3]], full_scale=254.0).port(8)
    assert codes.tolist() == [[63, 64, 127, -128, 2, -1]]  # half of each, halves up
    assert step == 1.0  # two units of 0.5
    four, _ = port([[127, -127, 9, 10]]).port(4)
    assert four.tolist() == [[7, -7, 0, 1]]  # a step of 127 / 7


def test_a_wide_enough_port_loses_nothing() -> None:
    outputs = np.arange(-100, 101, dtype=np.int32)[None]
    seen = observe_model(DeployedModel(outputs, 0.5, full_scale=127.0), [Logits(bits=8)]).channels["logits"]
    np.testing.assert_array_equal(seen, outputs * 0.5)


def test_integers_and_reals_pass_the_port_alike() -> None:
    rng = np.random.default_rng(0)
    outputs = rng.integers(-3000, 3000, (50, 10)).astype(np.int32)
    integers, step = DeployedModel(outputs, 1.0, full_scale=2777.0).port(8)
    reals, same = DeployedModel(outputs.astype(np.float64), 1.0, full_scale=2777.0).port(8)
    assert step == same
    assert np.abs(integers - reals).max() <= 1
    assert (integers == reals).mean() > 0.99  # the multiplier has 31 bits, so ties may fall apart


def test_a_port_with_a_full_scale_of_zero_has_codes() -> None:
    for outputs in (np.array([[0, 1, -3]], dtype=np.int32), np.array([[0.0, 1.0, -3.0]])):
        codes, _ = DeployedModel(outputs, 0.5, full_scale=0.0).port(8)
        assert codes.tolist() == [[0, 127, -128]]


def test_a_narrow_port_needs_a_full_scale() -> None:
    with pytest.raises(BadInput, match="full scale"):
        observe(RUN, COST, [Logits(bits=8)])


def test_the_integer_softmax_has_steps_of_one_part_in_256() -> None:
    seen = observe_model(port([[254, 0], [0, 0], [3, 0]], full_scale=254.0), [Probabilities(bits=8)]).channels[
        "probabilities"
    ]
    assert seen.tolist() == [[255 / 256, 0.0], [0.5, 0.5], [225 / 256, 31 / 256]]  # softmax of (2, 0): .881, .119


def test_the_best_classes_come_first_and_the_smaller_of_two_equal_ones() -> None:
    seen = observe_floats(np.array([[1.0, 3.0, 3.0, 0.0]]), [TopK(k=2)]).channels["top_k"]
    assert seen[0, :, 0].tolist() == [1.0, 2.0]
    assert seen[0, 0, 1] == seen[0, 1, 1] == softmax(np.array([1.0, 3.0, 3.0, 0.0]))[1]


def test_a_meter_has_a_resolution() -> None:
    seen = observe(RUN, COST, [LatencyCycles(resolution=10), EnergyPj(resolution=0.5)]).channels
    assert seen["latency_cycles"].tolist() == [100, 100]
    assert seen["energy_pj"].tolist() == [3.0, 4.5]  # halves to even


def test_a_meter_has_noise_of_its_own_for_each_model_and_channel() -> None:
    run = FakeRun(np.zeros((4000, 2), dtype=np.int32), 1.0, np.full(4000, 1000), {})
    cost = FakeCost(np.full(4000, 1000.0))

    def readings(seed: int) -> dict[str, np.ndarray]:
        deployed = DeployedModel(run.outputs, chip=HardwareRun(run, cost), seed=seed)
        return dict(observe_model(deployed, [LatencyCycles(noise=20), EnergyPj(noise=20)]).channels)

    first, again, other = readings(0), readings(0), readings(1)
    np.testing.assert_array_equal(first["latency_cycles"], again["latency_cycles"])
    assert abs(first["latency_cycles"].std() - 20) < 1
    assert (first["latency_cycles"] != other["latency_cycles"]).all()
    assert (first["latency_cycles"] != first["energy_pj"]).all()


def test_the_threat_model_names_changed_parameters() -> None:
    threat_model = observe(RUN, COST, [LatencyCycles(noise=20), "label"]).threat_model
    assert threat_model == "one query per sample on the accelerator; reads latency_cycles (noise=20.0), label"


def test_channels_of_several_queries_must_be_collected() -> None:
    with pytest.raises(BadInput, match="loss_trajectory, and collected is nothing"):
        observe(RUN, COST, ["loss_trajectory"])
    collected = {"loss_trajectory": np.ones((2, 5))}
    seen = observe_model(DeployedModel(RUN.outputs, collected=collected), ["loss_trajectory"]).channels[
        "loss_trajectory"
    ]
    assert seen is collected["loss_trajectory"]


def test_print_shows_an_observation_in_one_screen() -> None:
    lines = str(observe(RUN, COST, ["logits", "latency_cycles"])).splitlines()
    assert lines == [
        "Observation of 2 samples: one query per sample on the accelerator; reads logits, latency_cycles",
        "  logits          float64 [2, 2]",
        "  latency_cycles  int64 [2]",
    ]
