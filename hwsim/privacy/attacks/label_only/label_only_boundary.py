"""Label-only attack by distance: a large distance to the decision boundary means member."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.registry import register


@register(
    "attack",
    "label_only_boundary",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021; "
    "Z. Li and Y. Zhang, Membership Leakage in Label-Only Exposures, CCS 2021",
)
class LabelOnlyBoundary(Attack):
    """The L2 distance of the sample to the decision boundary; 0 where the prediction is wrong already.

    Reads labels alone, by many queries; see `hwsim.privacy.observation.hopskipjump.boundary_distance`.
    """

    name = "label_only_boundary"
    needs = ("boundary_distance",)

    def scores(self, game: GameView) -> Scores:
        """Return the distance to the decision boundary of each target."""
        return np.asarray(game.of_targets("boundary_distance"), dtype=np.float64)
