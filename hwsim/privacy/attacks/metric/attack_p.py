"""Attack-P: the loss of a sample against the losses of a population under the target."""

from __future__ import annotations

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.registry import register


@register("attack", "attack_p", citation="J. Ye et al., Enhanced Membership Inference Attacks, CCS 2022, Attack-P")
class AttackP(Attack):
    """The share of the population with a larger loss under the target; needs no shadow models.

    The population is all samples of the game. For one target the order of the samples is that of `loss`, so AUC and
    TPR are the same, but the score is calibrated: predicting members from the score 1 - f on is wrong for at most the
    share f of the non-members. The population contains members of the target too, whose losses are smaller if anything.

    Ranked by the log-odds, which have the order of the loss and do not saturate.
    """

    name = "attack_p"
    needs = ("logits",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return the share of samples with smaller log-odds under each target."""
        odds = log_odds(game.of_targets("logits"), game.labels)
        return np.stack([np.searchsorted(np.sort(row), row) / len(row) for row in odds])
