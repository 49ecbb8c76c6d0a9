"""ML-Leaks, adversary 3: no shadow model, no training; a sure answer means member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Attack, Observed
from hwsim.registry import register

_FLOOR = 1e-30
"""Logarithms are taken of nothing smaller."""


@register(
    "attack",
    "ml_leaks_3",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks3(Attack):
    """A statistic of the posteriors as the score: their maximum, negated entropy, or standard deviation.

    Knows neither label nor shadow models. The paper sets its threshold without supervision, at a
    top percentage of the statistic on random inputs (as remembered, unverified); here the score
    itself is judged, as in the authors' code, at every threshold.
    """

    name = "ml_leaks_3"

    statistic: Literal["max", "entropy", "std"] = Field(default="max", description="what is taken of the posteriors")

    @property
    def needs(self) -> tuple[str, ...]:
        """The posteriors."""
        return ("probabilities",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        p = observed["probabilities"] if targets is None else observed["probabilities"][list(targets)]
        if self.statistic == "max":
            return np.asarray(p.max(axis=-1), dtype=np.float64)
        if self.statistic == "std":
            return np.asarray(p.std(axis=-1))
        return np.asarray(np.sum(p * np.log(np.maximum(p, _FLOOR)), axis=-1))
