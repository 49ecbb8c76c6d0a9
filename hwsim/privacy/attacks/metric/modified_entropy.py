"""Modified-entropy attack: a confident and correct prediction means member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.registry import register


@register(
    "attack",
    "modified_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class ModifiedEntropy(Attack):
    """Negated modified entropy: (1 - p_y) log p_y + sum over the other classes of p_k log(1 - p_k).

    Large only for a confident and correct prediction. Needs no shadow models. Computed from the logits, because 1 - p_k
    of a rounded probability is zero long before the logits are equal.
    """

    name = "modified_entropy"
    needs = ("logits",)
    min_models = 1

    def scores(self, game: GameView) -> Scores:
        """Return the negated modified entropy under each target."""
        return negated_modified_entropy(game.of_targets("logits"), game.labels)


def negated_modified_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the negated modified entropy, float64 [model, sample].

    `logits` is float64 [model, sample, class], `labels` int64 [sample].
    """
    return np.stack([_of_model(one, labels) for one in logits])


def _of_model(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the negated modified entropy of one model, float64 [sample]; `logits` is [sample, class]."""
    samples, classes = logits.shape
    every = np.repeat(np.arange(classes), samples)  # all classes in one call
    by_class = log_odds(np.tile(logits, (classes, 1)), every).reshape(classes, samples)
    score = np.zeros(samples)
    for k, phi in enumerate(by_class):
        log_p, log_not_p = -np.logaddexp(0.0, -phi), -np.logaddexp(0.0, phi)
        score += np.where(labels == k, np.exp(log_not_p) * log_p, np.exp(log_p) * log_not_p)
    return score
