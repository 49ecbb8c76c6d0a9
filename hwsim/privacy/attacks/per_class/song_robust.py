"""Song, Shokri and Mittal's attacks on adversarially robust models: confidence under an attack or its worst case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.attack import Attack, Observed, log_odds
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.registry import register

Confidence = Literal["benign", "pgd", "verified"]

_CHANNEL: Mapping[Confidence, str] = {
    "benign": "logits",
    "pgd": "adversarial_logits",
    "verified": "verified_logits",
}


@register(
    "attack",
    "song_robust",
    citation="L. Song, R. Shokri and P. Mittal, Privacy Risks of Securing ML Models against Adversarial Examples, "
    "CCS 2019",
)
class SongRobust(Attack):
    """Confidence of the label less one threshold for all classes: robust training makes members stand out.

    `confidence` is taken on the sample itself ("benign"), on the sample as PGD moved it within the eps
    ball ("pgd", the default), or as the proved worst case in that ball ("verified"). As log-odds,
    which order as probabilities do. The threshold is learned on the shadow models, member where the
    score is 0 or more; the paper picks it in hindsight on the target.
    """

    name = "song_robust"

    confidence: Confidence = "pgd"

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits on the sample, on the moved sample, or of the worst case."""
        return (_CHANNEL[self.confidence],)

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        values = np.stack([log_odds(logits, labels) for logits in observed[_CHANNEL[self.confidence]]])
        return threshold_scores(values, keep, np.zeros_like(labels), targets)
