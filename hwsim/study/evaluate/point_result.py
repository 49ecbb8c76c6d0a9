"""Result row of one point: accuracy, cycles, energy, area and leakage of an ensemble on one accelerator."""

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
from hwsim.privacy import Leakage, Observation, audit, paired_auc
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.mismatched_shadows import MismatchedShadows
from hwsim.privacy.audit.blind_baseline import BlindCache
from hwsim.privacy.audit.leakage import statistic_columns
from hwsim.privacy.observation.channels.base import DeployedModel, HardwareRun
from hwsim.privacy.observation.channels.side_channels import HardwareChannel
from hwsim.privacy.observation.observe import observe_model, stack
from hwsim.privacy.statistics.components import difference, ratio_components
from hwsim.privacy.statistics.mean_over_targets import DIFFERENCE, of_components
from hwsim.rng import derive_seed
from hwsim.study.evaluate.deployed_models import DeployedModels
from hwsim.study.evaluate.game_data import GameData
from hwsim.study.evaluate.multi_query import MultiQueryCache
from hwsim.study.results.columns import CYCLES, ENERGY

OUTPUTS_ALONE = "lira"
"""Label of the attack on outputs over which the gain of side channels is measured."""

OUTPUT_CHANNELS = ("label", "logits", "probabilities", "top_k")
"""Channels that are no side channels."""

FLOAT_SHADOWS = "float_shadows"
"""Suffix of the label of an attack with shadow models in full precision."""

_BLIND_CACHE = BlindCache()
"""Blind scores of the games of this process: the designs of a study have one game, and no design changes them."""

on_clear(_BLIND_CACHE.clear)

BASELINE = "tpu_like"
"""Accelerator of the 8-bit network that energies are relative to."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Reference of relative energies: an 8-bit network and its input codes, integers [sample, *shape]."""

    network: Network
    codes: NDArray[np.integer]


def hardware_result(
    design: Design, models: DeployedModels, baseline: Baseline, multi_query: MultiQueryCache
) -> dict[str, Any]:
    """Return the row of quantized models on the design's accelerator; raises Infeasible where they cannot run."""
    runs = [simulate(n, design.accelerator, codes) for n, codes in zip(models.networks, models.codes, strict=True)]
    costs = [estimate(run, design.technology) for run in runs]
    outputs = np.stack([run.outputs for run in runs])
    energy_pj = float(np.mean([cost.total_energy_pj.mean() for cost in costs]))
    row = _accuracy(outputs.argmax(axis=2), models.game_data) | _cost(runs, costs)
    row["energy_relative"] = energy_pj / _baseline_energy_pj(baseline, design, costs[0].mode)
    attacks = list(design.attacks)
    if design.shadows == "both":
        attacks += attacks_with_float_shadows(design, models, multi_query)
    hardware = [HardwareRun(run, cost) for run, cost in zip(runs, costs, strict=True)]
    observations = _observe(design, models, outputs, design.channels, multi_query, hardware)
    return row | _leakage(design, attacks, observations, models.game_data)


def float_result(design: Design, models: DeployedModels, multi_query: MultiQueryCache) -> dict[str, Any]:
    """Return the row of models in full precision: accuracy and leakage, no cost and no side channel."""
    row = _accuracy(models.float_logits.argmax(axis=2), models.game_data)
    channels, attacks = _without_hardware(design)
    observations = _observe(design, models, models.float_logits, channels, multi_query) if attacks else []
    return row | _leakage(design, attacks, observations, models.game_data)


def _without_hardware(design: Design) -> tuple[list[Any], list[Attack]]:
    """Return the channels of a design that need no accelerator, and the attacks that read only these channels."""
    channels = [channel for channel in design.channels if not isinstance(channel, HardwareChannel)]
    names = {channel.name for channel in channels}
    return channels, [attack for attack in design.attacks if set(attack.needs) <= names]


def attacks_with_float_shadows(
    design: Design, models: DeployedModels, multi_query: MultiQueryCache
) -> list[MismatchedShadows]:
    """Return each attack on outputs once more, with shadow models in full precision."""
    channels, attacks = _without_hardware(design)
    if not attacks:
        return []
    shadows = stack(_observe(design, models.unquantized, models.float_logits, channels, multi_query))
    return [MismatchedShadows(attack=attack, shadows=shadows, suffix=FLOAT_SHADOWS) for attack in attacks]


def _observe(
    design: Design,
    models: DeployedModels,
    outputs: NDArray[Any],
    channels: Sequence[Any],
    multi_query: MultiQueryCache,
    hardware: Sequence[HardwareRun] | None = None,
) -> list[Observation]:
    """Return the observation of every model.

    Parameters
    ----------
    design : the design, whose seed fixes the noise of the meters
    models : the models that answer further queries
    outputs : raw outputs for the audited samples, [model, sample, class]
    channels : channels that the adversary reads
    multi_query : multi-query channels that were collected for other designs
    hardware : run and cost of each model on the accelerator; None in full precision
    """
    collected = multi_query.collect(models, channels)
    narrow = any(getattr(channel, "bits", 64) < 32 for channel in channels)
    return [
        observe_model(
            DeployedModel(
                outputs[model],
                models.logit_scale(model),
                full_scale=models.full_scales[model] if narrow else None,
                chip=hardware[model] if hardware else None,
                collected=collected[model],
                seed=derive_seed(design.seed, "meters", model),
            ),
            channels,
        )
        for model in range(models.count)
    ]


def _accuracy(predicted: NDArray[np.int64], data: GameData) -> dict[str, Any]:
    """Return accuracy, generalization gap and the note on the data, from predicted labels int64 [model, sample].

    Accuracy is measured on each model's non-members against clean labels, the gap against training labels.
    """
    keep, correct = data.game.keep, predicted == data.game.labels
    accuracy = ratio_components((predicted == data.clean_labels) & ~keep, ~keep)
    gap = difference(ratio_components(correct & keep, keep), ratio_components(correct & ~keep, ~keep))
    return {
        **statistic_columns("accuracy", of_components(accuracy)),
        **statistic_columns("generalization_gap", of_components(gap, DIFFERENCE)),
        "data_note": f"{data.data.note}; calibrated on {len(data.calibration)} samples that no model trained on",
    }


def _cost(runs: Sequence[Run], costs: Sequence[Cost]) -> dict[str, Any]:
    """Return MACs, latency, energy and area, means over models and samples."""
    latency_cycles = float(np.mean([run.latency_cycles.mean() for run in runs]))
    row: dict[str, Any] = {
        "macs": int(runs[0].event("macs_full")[0].sum() + runs[0].event("macs_low")[0].sum()),
        "latency_cycles": latency_cycles,
        "latency_us": latency_cycles / runs[0].accelerator.clock_hz * 1e6,
        "energy_pj": float(np.mean([cost.total_energy_pj.mean() for cost in costs])),
        "area_mm2": sum(costs[0].area_um2.values()) / 1e6,
    }
    for column in CYCLES:
        cause = CAUSES.index(column.part)
        row[column.name] = float(np.mean([run.cycles[:, :, cause].sum(axis=1).mean() for run in runs]))
    for column in ENERGY:
        component = COMPONENTS.index(column.part)
        row[column.name] = float(np.mean([cost.energy_pj[:, :, component].sum(axis=1).mean() for cost in costs]))
    return row


def _baseline_energy_pj(baseline: Baseline, design: Design, mode: str) -> float:
    """Return the mean energy of the baseline, priced in the mode of the design: by activity, or static."""
    run = simulate(baseline.network, registry.build("accelerator", BASELINE), baseline.codes)
    if mode == "static":
        run = replace(run, activity=None)
    return float(estimate(run, design.technology).total_energy_pj.mean())


def _leakage(
    design: Design, attacks: Sequence[Any], observations: Sequence[Observation], data: GameData
) -> dict[str, Any]:
    """Return the columns of an audit; none without attacks."""
    if not attacks:
        return {}
    leakage = audit(
        observations,
        data.game,
        attacks,
        derive_seed(design.seed, "audit"),
        inputs=data.x,
        blind_cache=_BLIND_CACHE,
    )
    return leakage.as_row() | _gains(leakage, attacks)


def _gains(leakage: Leakage, attacks: Sequence[Attack]) -> dict[str, float]:
    """Return the AUC of attacks on outputs and side channels, less the AUC of OUTPUTS_ALONE, with intervals."""
    gains: dict[str, float] = {}
    if OUTPUTS_ALONE in [attack.label for attack in attacks]:
        for attack in attacks:
            if "logits" in attack.needs and not set(attack.needs) <= set(OUTPUT_CHANNELS):
                gain = paired_auc(leakage[attack.label], leakage[OUTPUTS_ALONE])
                gains |= statistic_columns(f"{attack.label}_auc_gain", gain)
    return gains
