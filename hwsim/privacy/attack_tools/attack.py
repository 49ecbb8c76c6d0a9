"""Attack: the base class of all membership-inference attacks."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import ShadowRequirement
from hwsim.registry import Configurable

Choices = Mapping[str, NDArray[np.float64]]
"""Numbers that an attack chose on the shadow models, such as a temperature: name -> float64 [target]."""


class Attack(Configurable):
    """Base of the attacks. A subclass names the channels that it reads and computes the scores.

    Attributes
    ----------
    name : name in the registry
    needs : names of the channels that `scores` reads
    min_models : smallest number of models of a game on which the attack runs
    shadow_requirement : shadow models that each sample needs, for an attack that compares a sample with its own shadow
        models; None for other attacks
    reads_log_probabilities : True where the channel `log_probabilities` replaces `probabilities` if it is there
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]
    min_models: ClassVar[int] = 4
    shadow_requirement: ClassVar[ShadowRequirement | None] = None
    reads_log_probabilities: ClassVar[bool] = False

    @property
    def label(self) -> str:
        """Name for a table column: the attack's name, and the parameters that differ from their defaults."""
        parts = [self.name]
        for field, info in type(self).model_fields.items():
            value = getattr(self, field)
            if value != info.default:
                words = [value] if isinstance(value, str) else value if isinstance(value, tuple) else [field, value]
                parts += [re.sub(r"\W+", "_", str(word)) for word in words]
        return "_".join(parts)

    @abstractmethod
    def scores(self, game: GameView) -> Scores:
        """Score every sample against the targets of the game, float64 [target, sample]; larger is more member-like."""

    def scored(self, game: GameView) -> tuple[Scores, Choices]:
        """Return the scores, and what the attack chose on the shadow models of each target; nothing by default."""
        return self.scores(game), {}
