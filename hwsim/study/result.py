"""One point's row: accuracy, cycles, energy, area and leakage of an ensemble on one accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import registry
from hwsim.design import Design
from hwsim.machine import CAUSES, COMPONENTS, Cost, Run, estimate, simulate
from hwsim.network.graph import Network
from hwsim.privacy import Game, Observation, audit, observe, observe_floats
from hwsim.rng import derive_seed

FLOAT_CHANNELS = ("label", "logits", "probabilities")
"""What a model that runs on no accelerator still shows."""

BASELINE = "tpu_like"
"""Energies are relative to the 8-bit network on this accelerator, priced by the same technology."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """The network on whose energy others are measured, and its input codes [sample, *shape]."""

    network: Network
    codes: NDArray[np.integer]


def hardware_result(
    design: Design,
    game: Game,
    clean_labels: NDArray[np.int64],
    networks: Sequence[Network],
    codes: Sequence[NDArray[np.integer]],
    baseline: Baseline,
) -> dict[str, Any]:
    """The row of a quantized ensemble on the design's accelerator; raises Infeasible where it cannot run."""
    runs = [simulate(network, design.accelerator, inputs) for network, inputs in zip(networks, codes, strict=True)]
    costs = [estimate(run, design.technology) for run in runs]
    observations = [observe(run, cost, design.channels) for run, cost in zip(runs, costs, strict=True)]
    outputs = np.stack([run.outputs for run in runs])
    energy_pj = float(np.mean([cost.total_energy_pj.mean() for cost in costs]))
    row = _accuracy(outputs.argmax(axis=2), game, clean_labels) | _machine(runs, costs)
    row["energy_relative"] = energy_pj / _baseline_energy_pj(baseline, design, costs[0].mode)
    return row | _leakage(design, design.attacks, observations, game)


def float_result(
    design: Design, game: Game, clean_labels: NDArray[np.int64], logits: NDArray[np.float64]
) -> dict[str, Any]:
    """The row of the unquantized ensemble, logits [model, sample, class]: accuracy and leakage, no cost."""
    channels = [name for name in design.channels if name in FLOAT_CHANNELS]
    attacks = [attack for attack in design.attacks if set(attack.needs) <= set(channels)]
    observations = [observe_floats(one, channels) for one in logits]
    return _accuracy(logits.argmax(axis=2), game, clean_labels) | _leakage(design, attacks, observations, game)


def _accuracy(predicted: NDArray[np.int64], game: Game, clean_labels: NDArray[np.int64]) -> dict[str, Any]:
    """Accuracy on each model's non-members, against clean labels; and the gap that members' labels show."""
    members = (predicted == game.labels)[game.keep].mean()
    others = (predicted == game.labels)[~game.keep].mean()
    return {"accuracy": float((predicted == clean_labels)[~game.keep].mean()), "test_gap": float(members - others)}


def _machine(runs: Sequence[Run], costs: Sequence[Cost]) -> dict[str, Any]:
    """Means over models and samples."""
    latency_cycles = float(np.mean([run.latency_cycles.mean() for run in runs]))
    row: dict[str, Any] = {
        "macs": int(runs[0].event("macs_full")[0].sum() + runs[0].event("macs_low")[0].sum()),
        "latency_cycles": latency_cycles,
        "latency_us": latency_cycles / runs[0].accelerator.clock_hz * 1e6,
        "energy_pj": float(np.mean([cost.total_energy_pj.mean() for cost in costs])),
        "area_mm2": sum(costs[0].area_um2.values()) / 1e6,
    }
    for index, cause in enumerate(CAUSES):
        row[f"cycles_{cause}"] = float(np.mean([run.cycles[:, :, index].sum(axis=1).mean() for run in runs]))
    for index, component in enumerate(COMPONENTS):
        row[f"energy_{component}_pj"] = float(
            np.mean([cost.energy_pj[:, :, index].sum(axis=1).mean() for cost in costs])
        )
    return row


def _baseline_energy_pj(baseline: Baseline, design: Design, mode: str) -> float:
    """Mean energy of the baseline, priced as the design was: by what toggles, or static."""
    run = simulate(baseline.network, registry.build("accelerator", BASELINE), baseline.codes)
    if mode == "static":
        run = replace(run, activity=None)
    return float(estimate(run, design.technology).total_energy_pj.mean())


def _leakage(design: Design, attacks: Sequence[Any], observations: Sequence[Observation], game: Game) -> dict[str, Any]:
    if not attacks:
        return {}
    return audit(observations, game, attacks, derive_seed(design.seed, "audit")).as_row()
