"""The loss attack: a small loss means member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, log_odds, target_rows
from hwsim.privacy.attack_tools.mean_shadow import log_probability
from hwsim.registry import register


@register("attack", "loss", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018")
class Loss(Attack):
    """The negated cross-entropy of the label: one threshold for all samples, no shadow models.

    Computed through the log-odds, so that losses of sure answers do not all round to zero.
    """

    name = "loss"
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
        return log_probability(log_odds(observed["logits"][target_rows(len(keep), targets)], labels))
