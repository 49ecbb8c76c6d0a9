"""The entropy attack: a sure answer means member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.registry import register

FLOOR = 1e-30
"""Logarithms are taken of nothing smaller, as in the authors' formulas."""


@register(
    "attack", "entropy", citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021"
)
class Entropy(Attack):
    """The negated entropy of the predicted probabilities; knows no label and needs no shadow models."""

    name = "entropy"
    least_models = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """The probabilities."""
        return ("probabilities",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        rows = target_rows(len(keep), targets)
        return np.stack([np.sum(p * np.log(np.maximum(p, FLOOR)), axis=-1) for p in observed["probabilities"][rows]])
