"""ML-Leaks, adversary 1: one shadow model, one attack model, three numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.attack_tools.attack import Observed
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet, LearnedAttack, Predictor
from hwsim.privacy.attack_tools.mlp import MLPConfig, one_network_each
from hwsim.registry import register

TOP = 3
"""Posteriors that the attack model sees."""


@register(
    "attack",
    "ml_leaks_1",
    citation="A. Salem et al., ML-Leaks: Model and Data Independent Membership Inference Attacks, NDSS 2019",
)
class MlLeaks1(MLPConfig, LearnedAttack):
    """One network for all classes on the three largest posteriors, trained on one shadow model of the same kind.

    The posteriors are sorted, so neither label nor predicted class is seen; a binary task has two.
    The shadow is the first model after the target. Architecture and training are those of the
    authors' code, but for the optimiser (Adam, our own choice), standardised features, and batches
    that hold as many members as non-members.
    """

    name = "ml_leaks_1"

    shadows: int | None = Field(default=1, ge=1, description="number of shadow models; all others when not given")

    @property
    def needs(self) -> tuple[str, ...]:
        """The posteriors."""
        return ("probabilities",)

    def features(self, observed: Observed, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The largest posteriors, descending, float64 [model, sample, 3]."""
        return top_posteriors(observed["probabilities"])

    def fit(self, lessons: Sequence[AttackTrainingSet], rows: int) -> Sequence[Predictor]:
        """One network per lesson."""
        return one_network_each(self, lessons, rows)


def top_posteriors(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """The `TOP` largest probabilities of [..., class], descending; all of them where there are fewer.

    >>> top_posteriors(np.array([0.1, 0.2, 0.3, 0.4])).tolist()
    [0.4, 0.3, 0.2]
    """
    return np.asarray(-np.sort(-probabilities, axis=-1)[..., :TOP])
