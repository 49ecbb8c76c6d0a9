"""MismatchedShadows: an attack whose shadow models are deployed in another way than its target."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict

from hwsim.privacy.attack_tools.attack import Attack, Choices
from hwsim.privacy.attack_tools.game_view import GameView, Observed, Scores


class MismatchedShadows(Attack):
    """`attack` on a target as observed, with shadow models observed in another deployment.

    `shadows` contains the channels of all models in the other deployment, [model, sample, ...]; the target's row is
    replaced by the target's own observation. `suffix` is appended to the attack's label and distinguishes the result
    from the one with matched shadows: a mere change of the logit scale looks like privacy here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: ClassVar[str] = "mismatched_shadows"

    attack: Attack
    shadows: Any
    suffix: str

    @property
    def needs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The channels of the attack."""
        return self.attack.needs

    @property
    def label(self) -> str:
        """The attack's label and the suffix."""
        return f"{self.attack.label}_{self.suffix}"

    def scores(self, game: GameView) -> Scores:
        """Score one target after the other, each among the mismatched shadow models."""
        return self.scored(game)[0]

    def scored(self, game: GameView) -> tuple[Scores, Choices]:
        """Return the scores, and what the attack chose on the mismatched shadow models."""
        rows = []
        for target in game.targets.tolist():
            rows.append(self.attack.scored(game.with_observed(self._mixed(game.observed, target), [target])))
        choices = {name: np.concatenate([chosen[name] for _, chosen in rows]) for name in (rows[0][1] if rows else ())}
        return np.concatenate([scores for scores, _ in rows]), choices

    def _mixed(self, observed: Observed, target: int) -> Observed:
        """Return the channels of the mismatched shadows with the target's own row in its place."""
        mixed = {}
        for name in self.needs:
            mixed[name] = np.array(self.shadows[name])
            mixed[name][target] = observed[name][target]
        return mixed
