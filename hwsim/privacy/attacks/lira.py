"""LiRA: the log-odds of the label against those of each sample's shadow models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attacks.base import Attack, Observed, log_odds
from hwsim.privacy.attacks.likelihood import PRIOR_STRENGTH, Variance, log_ratio
from hwsim.registry import register


@register(
    "attack",
    "lira",
    citation="N. Carlini et al., Membership Inference Attacks From First Principles, IEEE S&P 2022",
)
class Lira(Attack):
    """Online likelihood-ratio attack on the log-odds of the label.

    `variance` says how the spread of a sample's shadows is estimated: "shrinkage" (default) between
    its own and the pooled one, with the weight `prior_strength`, good at any number of shadows;
    "pooled" (the paper's fixed variance); "per_point", from 64 models on.
    """

    name = "lira"
    least_models = 6

    variance: Variance = "shrinkage"
    prior_strength: float = Field(default=PRIOR_STRENGTH, gt=0)

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ("logits",)

    def scores(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """See Attack."""
        return log_ratio(label_log_odds(observed, labels), keep, self.variance, self.prior_strength)


def label_log_odds(observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log-odds of each sample's label, float64 [model, sample]."""
    return np.stack([log_odds(logits, labels) for logits in observed["logits"]])
