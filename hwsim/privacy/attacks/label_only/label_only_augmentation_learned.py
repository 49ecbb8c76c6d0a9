"""The label-only attack by augmentation as its authors run it: a network on which copies stay right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.mlp import MLPConfig, one_network_each
from hwsim.registry import register


@register(
    "attack",
    "label_only_augmentation_learned",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021",
)
class LabelOnlyAugmentationLearned(MLPConfig, LearnedAttack):
    """A small network on one bit per moved copy, whether its label is right, trained on the shadow models.

    Unlike `label_only_augmentation` it can weigh the copies. Size and training of the network are those
    of the ML-Leaks attacks here, our own choice; the authors' are not known to us.
    """

    name = "label_only_augmentation_learned"

    @property
    def needs(self) -> tuple[str, ...]:
        """The labels of the moved copies."""
        return ("augmented_labels",)

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Which copies are right, float64 [model, sample, copy]."""
        return np.asarray(observed["augmented_labels"] == labels[:, None], dtype=np.float64)

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """One network per lesson."""
        return one_network_each(self, lessons, rows)
