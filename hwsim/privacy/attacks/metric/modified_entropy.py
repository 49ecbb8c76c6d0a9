"""The modified-entropy attack: a sure and right answer means member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, log_odds, target_rows
from hwsim.registry import register


@register(
    "attack",
    "modified_entropy",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021",
)
class ModifiedEntropy(Attack):
    """Negated modified entropy: (1 - p_y) log p_y + sum over the other classes of p_k log(1 - p_k).

    Large only where the model is sure and right. Needs no shadow models. Computed from the logits,
    because 1 - p_k of a rounded probability is zero long before the logits are alike.
    """

    name = "modified_entropy"
    least_models = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return np.stack([_negated(logits, labels) for logits in observed["logits"][target_rows(len(keep), targets)]])


def _negated(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    samples, classes = logits.shape
    every = np.repeat(np.arange(classes), samples)  # all classes in one call
    by_class = log_odds(np.tile(logits, (classes, 1)), every).reshape(classes, samples)
    score = np.zeros(samples)
    for k, phi in enumerate(by_class):
        log_p, log_not_p = -np.logaddexp(0.0, -phi), -np.logaddexp(0.0, phi)
        score += np.where(labels == k, np.exp(log_not_p) * log_p, np.exp(log_p) * log_not_p)
    return score
