"""The label-only attack by distance: a member lies far from the decision boundary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.registry import register


@register(
    "attack",
    "label_only_boundary",
    citation="C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021; "
    "Z. Li and Y. Zhang, Membership Leakage in Label-Only Exposures, CCS 2021",
)
class LabelOnlyBoundary(Attack):
    """How far (L2) the sample must move before its label changes; 0 where the answer is wrong already.

    Sees labels alone, many of them; `hwsim.privacy.queries.boundary_distance` asks for them.
    """

    name = "label_only_boundary"

    @property
    def needs(self) -> tuple[str, ...]:
        """The distance to the decision boundary."""
        return ("boundary_distance",)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        return np.asarray(observed["boundary_distance"][target_rows(len(keep), targets)], dtype=np.float64)
