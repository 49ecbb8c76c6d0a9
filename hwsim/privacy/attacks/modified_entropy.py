"""The modified-entropy attack: a sure and right answer means member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attacks.base import Attack, Observed, log_odds
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

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    def scores(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Attack."""
        return np.stack([_negated(logits, labels) for logits in observed["logits"]])


def _negated(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    score = np.zeros(len(labels))
    for k in range(logits.shape[-1]):
        phi = log_odds(logits, np.full_like(labels, k))
        log_p, log_not_p = -np.logaddexp(0.0, -phi), -np.logaddexp(0.0, phi)
        score += np.where(labels == k, np.exp(log_not_p) * log_p, np.exp(log_p) * log_not_p)
    return score
