"""Label-only attack by augmentation: a correct prediction on augmented copies means member."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.registry import register


@register(
    "attack",
    "label_only_augmentation",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021",
)
class LabelOnlyAugmentation(Attack):
    """The number of augmented copies of the sample, the original included, with a correct label.

    Reads labels alone, so masking confidences does not help. Here the copies are counted;
    `label_only_augmentation_learned` weights them.
    """

    name = "label_only_augmentation"
    needs = ("augmented_labels",)

    def scores(self, game: GameView) -> Scores:
        """Return the number of copies with a correct label under each target."""
        correct = game.of_targets("augmented_labels") == game.labels[:, None]
        return np.asarray(correct.sum(axis=2), dtype=np.float64)
