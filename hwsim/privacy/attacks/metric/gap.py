"""Gap attack: a correct prediction means member."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.registry import register


@register("attack", "gap", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018")
class Gap(Attack):
    """Score 1 where the predicted label is correct, else 0; reads labels alone.

    Its balanced accuracy is one half plus half the gap between training and test accuracy.
    """

    name = "gap"
    needs = ("label",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return 1 for correct predictions of each target."""
        return np.asarray(game.of_targets("label") == game.labels, dtype=np.float64)
