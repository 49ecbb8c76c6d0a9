"""Adversary 2 of Yeom et al.: a loss below the mean training loss means member."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import cross_entropy
from hwsim.registry import register


@register(
    "attack", "yeom_threshold", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018, adversary 2"
)
class YeomThreshold(Attack):
    """Score 1 where the loss is below the mean training loss, else 0.

    The paper's adversary has the training loss of the target. This one takes the mean over the members of the shadow
    models. The score is a bit, so its advantage TPR - FPR is twice its AUC less 1.
    """

    name = "yeom_threshold"
    needs = ("logits",)

    def scores(self, game: GameView) -> Scores:
        """Return 1 for losses below the mean training loss of the shadow models."""
        losses = cross_entropy(game.observed["logits"], game.labels)
        below = losses[game.targets] < mean_training_loss(losses, game)[:, None]
        return below.astype(np.float64)


def mean_training_loss(losses: NDArray[np.float64], game: GameView) -> NDArray[np.float64]:
    """Return the mean loss over the members of the shadow models, float64 [target]; `losses` is [model, sample].

    Sums are exactly rounded, so the order of the samples changes no bit.
    """
    totals = game.shadow_statistics(losses, lambda members: math.fsum(members.tolist()))
    counts = game.shadow_statistics(losses, len)
    return np.array([math.fsum(row) / max(1, int(n)) for row, n in zip(totals, counts.sum(axis=1), strict=True)])
