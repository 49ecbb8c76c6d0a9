"""Modified-entropy attack: a confident and correct prediction means member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_entropy import log_modified_entropy, log_softmax
from hwsim.registry import register


@register(
    "attack",
    "modified_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class ModifiedEntropy(Attack):
    """A small modified entropy, -(1 - p_y) log p_y - sum over the other classes of p_k log(1 - p_k).

    Small only for a confident and correct prediction. Needs no shadow models. The score is the negated logarithm of the
    modified entropy, computed from the logits: 1 - p_k of a rounded probability is zero long before the logits are
    equal.
    """

    name = "modified_entropy"
    needs = ("logits",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return the negated logarithm of the modified entropy under each target."""
        return negated_log_modified_entropy(game.of_targets("logits"), game.labels)


def negated_log_modified_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the negated logarithm of the modified entropy, float64 [model, sample].

    `logits` is float64 [model, sample, class], `labels` int64 [sample].
    """
    return -np.stack([log_modified_entropy(log_softmax(np.asarray(one, dtype=np.float64)), labels) for one in logits])
