"""ML-Leaks, adversary 2: data transfer from a model that was trained on another data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.mlp import L2, Batch, Epochs, Hidden, LearningRate, mlp_config, mlp_per_set
from hwsim.privacy.attacks.classifier.ml_leaks_1 import TOP, top_posteriors
from hwsim.registry import register
from hwsim.rng import derive_seed


@register(
    "attack",
    "ml_leaks_2",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks2(Attack):
    """Data transfer: the MLP of `ml_leaks_1`, trained on records of another data set and its model.

    It is trained on the transfer records that come with the next model, never on the target's records, and reads no
    row of `keep`. The scored samples are not among these records, so cross-fitting is not needed. Where all transfer
    records are members, or none is, every score is 0.
    """

    name = "ml_leaks_2"
    needs = ("probabilities", "transfer_records")

    hidden: Hidden = (64,)
    learning_rate: LearningRate = 0.01
    batch: Batch = 10
    epochs: Epochs = 50
    l2: L2 = 1e-6

    def scores(self, game: GameView) -> Scores:
        """Return the log-odds of an MLP per target on the largest posteriors."""
        posteriors = top_posteriors(game.of_targets("probabilities"))
        scores = np.zeros(posteriors.shape[:2])
        records, top = game.observed["transfer_records"], posteriors.shape[2]
        training_sets = [_training_set(records[(t + 1) % game.models], top, t) for t in game.targets.tolist()]
        trainable = [i for i, t in enumerate(training_sets) if t.member.any() and not t.member.all()]
        if trainable:
            predictors = mlp_per_set(mlp_config(self), [training_sets[i] for i in trainable], rows=game.samples)
            for i, predict in zip(trainable, predictors, strict=True):
                # each distinct input once and in a fixed order, so that equal inputs get equal scores
                distinct, kind = np.unique(posteriors[i], axis=0, return_inverse=True)
                scores[i] = predict(distinct, game.labels)[kind.reshape(-1)]
        return scores


def _training_set(records: NDArray[np.float64], top: int, target: int) -> AttackTrainingSet:
    """Return transfer records float64 [record, 4] as a training set, in an order independent of the given one."""
    ordered = records[np.lexsort(records.T[::-1])]
    return AttackTrainingSet(
        ordered[:, :top],
        ordered[:, TOP] > 0.5,
        np.zeros(len(records), dtype=np.int64),
        derive_seed(0, "attack model", MlLeaks2.name, target),
    )
