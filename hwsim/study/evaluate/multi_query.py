"""What an adversary learns by more than one query, or from more than one model: one function per channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim import registry
from hwsim.engine.execute import execute
from hwsim.errors import BadInput
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.augmentations import bit_flips, gaussian_noise, rotations, translations
from hwsim.privacy.observation.channels.multi_query import (
    AdversarialLogits,
    AugmentedLabels,
    BoundaryDistance,
    FloatLogits,
    Inputs,
    LossTrajectory,
    MultiQueryChannel,
    TransferRecords,
    VerifiedLogits,
)
from hwsim.privacy.observation.channels.outputs import softmax
from hwsim.privacy.observation.hopskipjump import boundary_distance
from hwsim.quantizers.quantize import quantize_ensemble
from hwsim.rng import derive_seed, stream
from hwsim.study.evaluate.deployed_models import DeployedModels
from hwsim.training.adversarial import pgd
from hwsim.training.distill import loss_trajectory
from hwsim.training.ensemble import Members, train
from hwsim.training.interval_bounds import verified_logits

Arrays = Sequence[NDArray[Any]]
"""One array [sample, ...] per model."""

FOREIGN_MODELS = 4
"""Models that an adversary trains on a data set of another kind."""

FOREIGN_CALIBRATION = 64


def supplied(stand: DeployedModels, channels: Sequence[Any]) -> list[dict[str, NDArray[Any]]]:
    """The channels among `channels` that more than one query makes: for each model name -> array [sample, ...]."""
    found: list[dict[str, NDArray[Any]]] = [{} for _ in range(stand.models)]
    for channel in channels:
        if isinstance(channel, MultiQueryChannel):
            for own, array in zip(found, stand.supply(channel, COLLECTORS[channel.name]), strict=True):
                own[channel.name] = array
    return found


def _inputs(stand: DeployedModels, channel: Inputs) -> Arrays:
    x = stand.arena.x
    return [x.reshape(len(x), -1).astype(np.float64)] * stand.models


def _float_logits(stand: DeployedModels, channel: FloatLogits) -> Arrays:
    return list(stand.float_logits)


def _augmented_labels(stand: DeployedModels, channel: AugmentedLabels) -> Arrays:
    """Every model is asked for every moved copy."""
    copies = moved(stand.arena.x, channel, derive_seed(stand.design.seed, "moved copies"))
    return [np.stack([_labels(stand, m, copy) for copy in copies], axis=1) for m in range(stand.models)]


def moved(x: NDArray[np.float32], channel: AugmentedLabels, seed: int) -> NDArray[np.float32]:
    """The copies that are asked for, float32 [copy, sample, *shape]; the first is the sample as it is.

    Images are shifted and turned; bits flipped where all features are 0 or 1; else noise added.
    """
    if x.ndim == 4:
        copies = [translations(x, channel.shift)]
        if channel.degrees:
            copies.append(rotations(x, channel.degrees)[1:])
        return np.concatenate(copies).astype(np.float32)
    move = bit_flips if np.isin(x, (0, 1)).all() else gaussian_noise
    return move(x, channel.flip, channel.copies, seed).astype(np.float32)


def _boundary_distance(stand: DeployedModels, channel: BoundaryDistance) -> Arrays:
    """Probes that are smaller than a step of the input's integers would show nothing."""
    arena, seed = stand.arena, derive_seed(stand.design.seed, "boundary")

    def distances(model: int) -> NDArray[np.float64]:
        step = stand.networks[model].input_scale if stand.networks else 0.0
        least = step * float(np.sqrt(np.prod(arena.data.shape)))

        def ask(rows: NDArray[np.float32]) -> NDArray[np.int64]:
            return _labels(stand, model, rows)

        return boundary_distance(ask, arena.x, arena.game.labels, channel.queries, seed, least)

    return [distances(model) for model in range(stand.models)]


def _loss_trajectory(stand: DeployedModels, channel: LossTrajectory) -> Arrays:
    """Students of the deployed model's own answers, on samples that are members of no model."""
    arena = stand.arena
    if not len(arena.auxiliary):
        raise BadInput("game.auxiliary", 0, "samples to distil students with, which the channel loss_trajectory needs")
    teachers = np.stack([_logits(stand, m, arena.auxiliary) for m in range(stand.models)])
    seed = derive_seed(stand.design.seed, "students")
    labels, model = arena.game.labels, stand.design.model
    return list(loss_trajectory(teachers, arena.auxiliary, arena.x, labels, model, channel.epochs, seed))


def _adversarial_logits(stand: DeployedModels, channel: AdversarialLogits) -> Arrays:
    """The adversary climbs the gradient of the full-precision model, and asks the deployed one."""
    arena = stand.arena
    worst = pgd(stand.ensemble, arena.x, arena.game.labels, channel.eps, channel.steps)
    return [_logits(stand, model, inputs) for model, inputs in enumerate(worst)]


def _verified_logits(stand: DeployedModels, channel: VerifiedLogits) -> Arrays:
    return list(verified_logits(stand.ensemble, stand.arena.x, stand.arena.game.labels, channel.eps))


def _foreign_records(stand: DeployedModels, channel: TransferRecords) -> Arrays:
    """Models of the same architecture and recipe on another data set, deployed the same way.

    Each game model meets one of FOREIGN_MODELS of them, and as many of its records as the game has samples.
    """
    design, seed = stand.design, derive_seed(stand.design.seed, "foreign")
    data = registry.build("dataset", channel.dataset, where="channels.transfer_records.dataset").load(seed)
    order = stream(seed, "pool").permutation(len(data.labels))
    calibration, pool = data.x[order[:FOREIGN_CALIBRATION]], order[FOREIGN_CALIBRATION:]
    keep = balanced_keep(FOREIGN_MODELS, len(pool), derive_seed(seed, "members"))
    members = Members(data.x[pool], data.labels[pool], keep, seed=seed)
    ensemble = train(design.model, members)
    if design.quantizer.integer:
        networks = quantize_ensemble(ensemble, design.quantizer, calibration, members)
        answers = [execute(n, n.encode(data.x[pool])).outputs * np.float64(n.logit_scale) for n in networks]
    else:
        answers = list(ensemble.logits(data.x[pool]))
    rows = np.resize(np.arange(len(pool)), len(stand.arena.pool))
    return [_records(answers[m % FOREIGN_MODELS], keep[m % FOREIGN_MODELS])[rows] for m in range(stand.models)]


def _records(logits: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The three largest probabilities (0 where there are only two classes), and the membership: float64 [record, 4]."""
    best = -np.sort(-softmax(logits), axis=1)[:, :3]
    padded = np.pad(best, ((0, 0), (0, 3 - best.shape[1])))
    return np.column_stack([padded, member])


def _labels(stand: DeployedModels, model: int, x: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(stand.ask(model, x).argmax(axis=1), dtype=np.int64)


def _logits(stand: DeployedModels, model: int, x: NDArray[np.float32]) -> NDArray[np.float64]:
    return stand.ask(model, x).astype(np.float64) * stand.scale(model)


COLLECTORS: Mapping[str, Callable[[DeployedModels, Any], Arrays]] = {
    "inputs": _inputs,
    "float_logits": _float_logits,
    "augmented_labels": _augmented_labels,
    "boundary_distance": _boundary_distance,
    "loss_trajectory": _loss_trajectory,
    "adversarial_logits": _adversarial_logits,
    "verified_logits": _verified_logits,
    "transfer_records": _foreign_records,
}
"""How each channel is made that more than one query makes."""
