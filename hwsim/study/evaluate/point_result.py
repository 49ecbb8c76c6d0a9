"""One point's row: accuracy, cycles, energy, area and leakage of an ensemble on one accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import registry
from hwsim.cache import on_clear
from hwsim.design import Design
from hwsim.machine import CAUSES, COMPONENTS, Cost, Run, simulate
from hwsim.machine.cost.estimate import estimate
from hwsim.network.graph import Network
from hwsim.privacy import Leakage, Observation, audit
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.mismatched_shadows import MismatchedShadows
from hwsim.privacy.audit.blind_baseline import BlindCache
from hwsim.privacy.observation.channels.base import DeployedModel, HardwareRun
from hwsim.privacy.observation.channels.side_channels import HardwareChannel
from hwsim.privacy.observation.observe import observe_model, stack
from hwsim.rng import derive_seed
from hwsim.study.evaluate.deployed_models import DeployedModels
from hwsim.study.evaluate.game_data import GameData
from hwsim.study.evaluate.multi_query import supplied

OUTPUTS_ALONE = "lira"
OUTPUT_CHANNELS = ("label", "logits", "probabilities", "top_k")

_BLIND_CACHE = BlindCache()
"""Blind scores of the games of this process: the designs of a study have one game, and no design changes them."""

on_clear(_BLIND_CACHE.clear)

BASELINE = "tpu_like"
"""Energies are relative to the 8-bit network on this accelerator, priced by the same technology."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """The network on whose energy others are measured, and its input codes [sample, *shape]."""

    network: Network
    codes: NDArray[np.integer]


def hardware_result(design: Design, stand: DeployedModels, baseline: Baseline) -> dict[str, Any]:
    """The row of a quantized ensemble on the design's accelerator; raises Infeasible where it cannot run."""
    runs = [simulate(n, design.accelerator, codes) for n, codes in zip(stand.networks, stand.codes, strict=True)]
    costs = [estimate(run, design.technology) for run in runs]
    outputs = np.stack([run.outputs for run in runs])
    energy_pj = float(np.mean([cost.total_energy_pj.mean() for cost in costs]))
    row = _accuracy(outputs.argmax(axis=2), stand.arena) | _machine(runs, costs)
    row["energy_relative"] = energy_pj / _baseline_energy_pj(baseline, design, costs[0].mode)
    chips = [HardwareRun(run, cost) for run, cost in zip(runs, costs, strict=True)]
    observations = _observe(design, stand, outputs, design.channels, chips)
    attacks = list(design.attacks)
    if design.shadows == "both":
        attacks += _with_float_shadows(design, stand)
    return row | _leakage(design, attacks, observations, stand)


def float_result(design: Design, stand: DeployedModels) -> dict[str, Any]:
    """The row of the unquantized ensemble: accuracy and leakage, no cost and no side channel."""
    channels = [channel for channel in design.channels if not isinstance(channel, HardwareChannel)]
    names = {channel.name for channel in channels}
    attacks = [attack for attack in design.attacks if set(attack.needs) <= names]
    observations = _observe(design, stand, stand.float_logits, channels) if attacks else []
    return _accuracy(stand.float_logits.argmax(axis=2), stand.arena) | _leakage(design, attacks, observations, stand)


def _observe(
    design: Design,
    stand: DeployedModels,
    outputs: NDArray[Any],
    channels: Sequence[Any],
    chips: Sequence[HardwareRun] | None = None,
) -> list[Observation]:
    """What the adversary sees of every model; `outputs` are raw, [model, sample, class]."""
    further = supplied(stand, channels)
    narrow = any(getattr(channel, "bits", 64) < 32 for channel in channels)
    return [
        observe_model(
            DeployedModel(
                outputs[model],
                stand.scale(model),
                full_scale=stand.full_scales[model] if narrow else None,
                chip=chips[model] if chips else None,
                collected=further[model],
                seed=derive_seed(design.seed, "meters", model),
            ),
            channels,
        )
        for model in range(stand.models)
    ]


def _with_float_shadows(design: Design, stand: DeployedModels) -> list[Attack]:
    """The attacks once more, with shadow models in full precision; those that read a chip have none."""
    floats = DeployedModels(design, stand.arena, stand.ensemble)
    channels = [channel for channel in design.channels if not isinstance(channel, HardwareChannel)]
    names = {channel.name for channel in channels}
    attacks = [a for a in design.attacks if isinstance(a, Attack) and set(a.needs) <= names]
    if not attacks:
        return []
    shadows = stack(_observe(design, floats, stand.float_logits, channels))
    return [MismatchedShadows(attack=attack, shadows=shadows, suffix="float_shadows") for attack in attacks]


def _accuracy(predicted: NDArray[np.int64], arena: GameData) -> dict[str, Any]:
    """Accuracy on each model's non-members, against clean labels; and the gap that members' labels show."""
    game, clean_labels = arena.game, arena.clean_labels
    members = (predicted == game.labels)[game.keep].mean()
    others = (predicted == game.labels)[~game.keep].mean()
    return {
        "accuracy": float((predicted == clean_labels)[~game.keep].mean()),
        "generalization_gap": float(members - others),
        "data_note": f"{arena.data.note}; calibrated on {len(arena.calibration)} samples that no model trained on",
    }


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


def _leakage(
    design: Design, attacks: Sequence[Any], observations: Sequence[Observation], stand: DeployedModels
) -> dict[str, Any]:
    if not attacks:
        return {}
    seed, arena = derive_seed(design.seed, "audit"), stand.arena
    leakage = audit(observations, arena.game, attacks, seed, inputs=arena.x, blind_cache=_BLIND_CACHE)
    return leakage.as_row() | _gains(leakage, attacks)


def _gains(leakage: Leakage, attacks: Sequence[Attack]) -> dict[str, float]:
    """What side channels add to the outputs: paired intervals of the AUC of attacks on both, less that of LiRA."""
    found: dict[str, float] = {}
    if OUTPUTS_ALONE in [attack.label for attack in attacks]:
        for attack in attacks:
            if "logits" in attack.needs and not set(attack.needs) <= set(OUTPUT_CHANNELS):
                low, high = leakage.auc_gain(attack.label, over=OUTPUTS_ALONE)
                found |= {f"{attack.label}_auc_gain_ci_low": low, f"{attack.label}_auc_gain_ci_high": high}
    return found
