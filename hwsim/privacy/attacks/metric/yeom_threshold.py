"""Adversary 2 of Yeom et al.: a loss below the mean training loss means member."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_loss, log_odds
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
        logs = log_loss(log_odds(game.observed["logits"], game.labels))
        below = logs[game.targets] < log_mean_training_loss(logs, game)[:, None]
        return below.astype(np.float64)


def log_mean_training_loss(logs: NDArray[np.float64], game: GameView) -> NDArray[np.float64]:
    """Return the logarithm of the mean loss over the members of the shadow models, float64 [target].

    `logs` are logarithms of losses, float64 [model, sample]. Sums are exactly rounded, so the order of the samples
    changes no bit.
    """
    largest = game.shadow_statistics(logs, lambda members: members.max(initial=-np.inf))
    sums = game.shadow_statistics(
        logs, lambda members: math.fsum(np.exp(members - members.max(initial=-np.inf)).tolist())
    )
    counts = game.shadow_statistics(logs, len)
    top = largest.max(axis=1)
    return np.array(
        [
            t + math.log(math.fsum((row * np.exp(high - t)).tolist()) / n) if n else -np.inf
            for t, row, high, n in zip(top, sums, largest, counts.sum(axis=1), strict=True)
        ]
    )
