"""The gap attack: a right answer means member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.registry import register


@register("attack", "gap", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018")
class Gap(Attack):
    """Sees the predicted label alone: score 1 where it is right, else 0.

    Its balanced accuracy is one half plus half the gap between training and test accuracy.
    """

    name = "gap"
    least_models = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """The predicted label."""
        return ("label",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return np.asarray(observed["label"][target_rows(len(keep), targets)] == labels, dtype=np.float64)
