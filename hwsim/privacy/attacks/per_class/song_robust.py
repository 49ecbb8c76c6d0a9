"""Attack of Song, Shokri and Mittal on robust models: confidence on an adversarial or worst-case input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.class_thresholds import threshold_scores
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import log_odds
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
    """Confidence of the label less one threshold for all classes; robust training separates members by it.

    `confidence` is taken on the sample itself ("benign"), on the adversarial example by PGD within the eps ball ("pgd",
    the default), or as the verified worst case in that ball ("verified"). It is taken as log-odds, which have the
    order of the probability. The threshold is learned on the shadow models, and a score of 0 or more means member; the
    paper chooses it in hindsight on the target.
    """

    name = "song_robust"

    confidence: Confidence = "pgd"

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The logits on the sample, on the adversarial example, or of the worst case."""
        return (_CHANNEL[self.confidence],)

    def scores(self, game: GameView) -> Scores:
        """Return the log-odds of the label less one threshold per target."""
        values = np.stack([log_odds(logits, game.labels) for logits in game.observed[_CHANNEL[self.confidence]]])
        return threshold_scores(values, game, np.zeros_like(game.labels))
