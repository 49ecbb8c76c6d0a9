"""Multi-query channels: one collector per channel that needs several queries, or models of the adversary's own."""

from __future__ import annotations

import json
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

TRANSFER_MODELS = 4
"""Number of models that an adversary trains on another data set."""

TRANSFER_CALIBRATION = 64
"""Calibration samples of the models on another data set."""


class MultiQueryCache:
    """Multi-query channels collected so far; designs that share their models share one cache."""

    def __init__(self) -> None:
        self._collected: dict[tuple[DeployedModels, str], Arrays] = {}

    def collect(self, models: DeployedModels, channels: Sequence[Any]) -> list[dict[str, NDArray[Any]]]:
        """Return the multi-query channels among `channels`, for each model: channel name -> array [sample, ...]."""
        collected: list[dict[str, NDArray[Any]]] = [{} for _ in range(models.count)]
        for channel in channels:
            if isinstance(channel, MultiQueryChannel):
                for of_model, array in zip(collected, self._arrays(models, channel), strict=True):
                    of_model[channel.name] = array
        return collected

    def _arrays(self, models: DeployedModels, channel: MultiQueryChannel) -> Arrays:
        key = models, json.dumps([channel.name, channel.model_dump(mode="json")])
        if key not in self._collected:
            self._collected[key] = COLLECTORS[channel.name](models, channel)
        return self._collected[key]


def augmented(x: NDArray[np.float32], channel: AugmentedLabels, seed: int) -> NDArray[np.float32]:
    """Return the augmented copies of samples, float32 [copy, sample, *shape]; the first copy is the sample itself.

    Images are translated and rotated. Other samples have bits flipped where all features are 0 or 1, else noise added.
    """
    if x.ndim == 4:
        copies = [translations(x, channel.shift)]
        if channel.degrees:
            copies.append(rotations(x, channel.degrees)[1:])
        return np.concatenate(copies).astype(np.float32)
    augment = bit_flips if np.isin(x, (0, 1)).all() else gaussian_noise
    return augment(x, channel.flip, channel.copies, seed).astype(np.float32)


def _inputs(models: DeployedModels, channel: Inputs) -> Arrays:
    x = models.game_data.x
    return [x.reshape(len(x), -1).astype(np.float64)] * models.count


def _float_logits(models: DeployedModels, channel: FloatLogits) -> Arrays:
    return list(models.float_logits)


def _augmented_labels(models: DeployedModels, channel: AugmentedLabels) -> Arrays:
    """Query every model with every augmented copy."""
    copies = augmented(models.game_data.x, channel, derive_seed(models.design.seed, "moved copies"))
    return [np.stack([_labels(models, m, copy) for copy in copies], axis=1) for m in range(models.count)]


def _boundary_distance(models: DeployedModels, channel: BoundaryDistance) -> Arrays:
    """Measure distances to the decision boundary with probes that differ from the sample after input quantization."""
    data, seed = models.game_data, derive_seed(models.design.seed, "boundary")

    def distances(model: int) -> NDArray[np.float64]:
        input_scale = models.networks[model].input_scale if models.networks else 0.0
        min_probe = input_scale * float(np.sqrt(np.prod(data.data.shape)))

        def query(x: NDArray[np.float32]) -> NDArray[np.int64]:
            return _labels(models, model, x)

        return boundary_distance(query, data.x, data.game.labels, channel.queries, seed, min_probe)

    return [distances(model) for model in range(models.count)]


def _loss_trajectory(models: DeployedModels, channel: LossTrajectory) -> Arrays:
    """Distill a student of each deployed model on auxiliary samples and record its losses."""
    data = models.game_data
    if not len(data.auxiliary):
        raise BadInput("game.auxiliary", 0, "samples to distill students with, for the channel loss_trajectory")
    teachers = np.stack([_logits(models, m, data.auxiliary) for m in range(models.count)])
    seed = derive_seed(models.design.seed, "students")
    labels, model = data.game.labels, models.design.model
    return list(loss_trajectory(teachers, data.auxiliary, data.x, labels, model, channel.epochs, seed))


def _adversarial_logits(models: DeployedModels, channel: AdversarialLogits) -> Arrays:
    """Find adversarial inputs by the gradient of the float model and query the deployed model with them."""
    data = models.game_data
    adversarial = pgd(models.ensemble, data.x, data.game.labels, channel.eps, channel.steps)
    return [_logits(models, model, x) for model, x in enumerate(adversarial)]


def _verified_logits(models: DeployedModels, channel: VerifiedLogits) -> Arrays:
    data = models.game_data
    return list(verified_logits(models.ensemble, data.x, data.game.labels, channel.eps))


def _transfer_records(models: DeployedModels, channel: TransferRecords) -> Arrays:
    """Return records of models of the same architecture and recipe, trained on another data set.

    The models are deployed as those of the game. Each model of the game has the records of one of the
    TRANSFER_MODELS models, repeated or cut to as many records as the game has samples.
    """
    design, seed = models.design, derive_seed(models.design.seed, "foreign")
    data = registry.build("dataset", channel.dataset, where="channels.transfer_records.dataset").load(seed)
    order = stream(seed, "pool").permutation(len(data.labels))
    calibration, pool = data.x[order[:TRANSFER_CALIBRATION]], order[TRANSFER_CALIBRATION:]
    keep = balanced_keep(TRANSFER_MODELS, len(pool), derive_seed(seed, "members"))
    members = Members(data.x[pool], data.labels[pool], keep, seed=seed)
    ensemble = train(design.model, members)
    if design.quantizer.integer:
        networks = quantize_ensemble(ensemble, design.quantizer, calibration, members)
        logits = [execute(n, n.encode(data.x[pool])).outputs * np.float64(n.logit_scale) for n in networks]
    else:
        logits = list(ensemble.logits(data.x[pool]))
    records = [_records(logits[model], keep[model]) for model in range(TRANSFER_MODELS)]
    rows = np.resize(np.arange(len(pool)), len(models.game_data.pool))
    return [records[m % TRANSFER_MODELS][rows] for m in range(models.count)]


def _records(logits: NDArray[np.float64], member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the three largest probabilities and the membership, float64 [sample, 4].

    The third probability is 0 where there are two classes.

    Parameters
    ----------
    logits : float64 [sample, class]
    member : bool [sample]
    """
    largest = -np.sort(-softmax(logits), axis=1)[:, :3]
    padded = np.pad(largest, ((0, 0), (0, 3 - largest.shape[1])))
    return np.column_stack([padded, member])


def _labels(models: DeployedModels, model: int, x: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the predicted labels of one model, int64 [n], for inputs float32 [n, *shape]."""
    return np.asarray(models.query(model, x).argmax(axis=1), dtype=np.int64)


def _logits(models: DeployedModels, model: int, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the real logits of one model, float64 [n, class], for inputs float32 [n, *shape]."""
    return models.query(model, x).astype(np.float64) * models.logit_scale(model)


COLLECTORS: Mapping[str, Callable[[DeployedModels, Any], Arrays]] = {
    "inputs": _inputs,
    "float_logits": _float_logits,
    "augmented_labels": _augmented_labels,
    "boundary_distance": _boundary_distance,
    "loss_trajectory": _loss_trajectory,
    "adversarial_logits": _adversarial_logits,
    "verified_logits": _verified_logits,
    "transfer_records": _transfer_records,
}
"""Channel name -> function that collects the channel from deployed models."""
