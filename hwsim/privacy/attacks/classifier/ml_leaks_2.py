"""ML-Leaks, adversary 2: the shadow model was trained on another data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet
from hwsim.privacy.attack_tools.mlp import MLPConfig, one_network_each
from hwsim.privacy.attacks.classifier.ml_leaks_1 import TOP, top_posteriors
from hwsim.registry import register
from hwsim.rng import derive_seed


@register(
    "attack",
    "ml_leaks_2",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks2(MLPConfig, Attack):
    """Data transfer: the network of `ml_leaks_1`, trained on records of another data set and its model.

    It learns from the foreign records that come with the next model, never from the target's, and
    from no row of `keep` at all. Those are other records than the ones it scores, so nothing has to
    be cross-fitted. Where all foreign records are members, or none is, every score is 0.
    """

    name = "ml_leaks_2"

    @property
    def needs(self) -> tuple[str, ...]:
        """The target's posteriors, and the records of the foreign model."""
        return ("probabilities", "transfer_records")

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        models = len(keep)
        chosen = list(range(models)) if targets is None else list(targets)
        seen = top_posteriors(observed["probabilities"][chosen])
        scores = np.zeros(seen.shape[:2])
        lessons = [_lesson(observed["transfer_records"][(t + 1) % models], seen.shape[2], t) for t in chosen]
        trainable = [i for i, lesson in enumerate(lessons) if lesson.member.any() and not lesson.member.all()]
        if trainable:
            predictors = one_network_each(self, [lessons[i] for i in trainable], rows=keep.shape[1])
            for i, predict in zip(trainable, predictors, strict=True):
                # each distinct input once and in a fixed order, so that equal inputs get equal scores
                distinct, which = np.unique(seen[i], axis=0, return_inverse=True)
                scores[i] = predict(distinct, labels)[which.reshape(-1)]
        return scores


def _lesson(records: NDArray[np.float64], top: int, target: int) -> AttackTrainingSet:
    """Foreign records [record, 4] in an order that does not depend on the one they came in."""
    ordered = records[np.lexsort(records.T[::-1])]
    return AttackTrainingSet(
        ordered[:, :top],
        ordered[:, TOP] > 0.5,
        np.zeros(len(records), dtype=np.int64),
        derive_seed(0, "attack model", MlLeaks2.name, target),
    )
