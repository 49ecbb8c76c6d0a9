"""Temperature of the softmax for attacks that compare probabilities, chosen on the shadow models."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack, Choices
from hwsim.privacy.attack_tools.exact_sum import total
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.log_odds import label_margin, log_odds
from hwsim.privacy.statistics.roc import roc

CANDIDATES = tuple(2.0**k for k in (-2, -1, -3, 0, -4, 1, 2))
"""Temperatures that are tried, as shares of the mean absolute margin, the preferred ones first (design choice)."""

SHADOWS, SAMPLES = 8, 1000
"""Numbers of shadow models and of samples on which the temperatures are compared (design choice)."""

_CLOSE = 1e-9
"""AUCs that differ by less count as equal."""

_PLACES = 2.0**20
"""Margins are hashed in steps of the mean absolute margin over _PLACES, so that rounding does not change a hash."""


class TemperatureAttack(Attack):
    """Base of the attacks on the probability of the label, softmax(logits / `temperature`).

    `temperature` "auto" (default) is the candidate with the largest mean AUC on the shadow models of a target, each as
    the target in turn, on 1,000 of the samples; the target's own membership is not read. Candidates are
    multiples of the mean absolute margin (label's logit less the largest other one), so that a constant factor in all
    logits changes no score. 1 is the softmax of the model. The result records the temperature of each target.
    """

    temperature: float | Literal["auto"] = Field(
        default="auto", description="divisor of the logits, greater than 0, or auto: chosen on the shadow models"
    )

    @field_validator("temperature", mode="before")
    @classmethod
    def _auto_or_positive(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        if not number and value != "auto":
            raise ValueError("auto, or a number greater than 0")
        return value

    @abstractmethod
    def scores_at(self, odds: NDArray[np.float64], game: GameView, place: NDArray[np.float64]) -> Scores:
        """Score the samples from log-odds at one temperature, float64 [target, sample].

        `odds` is float64 [model, sample]; `place` float64 [sample] a random number from 0 to 1 for each sample.
        """

    @final
    def scores(self, game: GameView) -> Scores:
        """Score every sample at the temperature of each target."""
        return self.scored(game)[0]

    @final
    def scored(self, game: GameView) -> tuple[Scores, Choices]:
        """Return the scores and the temperatures."""
        logits = game.observed["logits"]
        margins = np.stack([label_margin(np.asarray(one, dtype=np.float64), game.labels) for one in logits])
        if not np.isfinite(margins).all():
            raise BadInput("logits", "NaN or infinity", "finite logits")
        unit = total(np.abs(margins).ravel()) / margins.size or 1.0
        place = hashed(np.round(margins / unit * _PLACES), game.labels)
        if self.temperature == "auto":
            chosen = self._choose(game, unit, place)
        else:
            chosen = np.full(len(game.targets), float(self.temperature))
        scores = np.empty((len(game.targets), game.samples))
        for temperature in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == temperature)
            part = game.with_observed({}, game.targets[rows].tolist())
            scores[rows] = self.scores_at(log_odds(logits, game.labels, temperature), part, place)
        return scores, {"temperature": chosen}

    def _choose(self, game: GameView, unit: float, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the temperature of each target, float64 [target]; `place` is float64 [sample]."""
        last = np.sort(place)[min(SAMPLES, game.samples) - 1]
        samples = np.flatnonzero(place <= last)  # with all that are equal to the last one, in whatever order they are
        candidates = [unit * share for share in CANDIDATES]
        logits = np.ascontiguousarray(game.observed["logits"][:, samples], dtype=np.float64)
        odds = [log_odds(logits, game.labels[samples], temperature) for temperature in candidates]
        again = place[samples] * 2.0**20 % 1.0
        chosen = []
        for target in game.targets.tolist():
            aucs = [self._shadow_auc(np.delete(one, target, axis=0), game, target, samples, again) for one in odds]
            chosen.append(next(t for t, auc in zip(candidates, aucs, strict=True) if auc >= max(aucs) - _CLOSE))
        return np.array(chosen)

    def _shadow_auc(
        self,
        odds: NDArray[np.float64],
        game: GameView,
        target: int,
        samples: NDArray[np.int64],
        place: NDArray[np.float64],
    ) -> float:
        """Return the mean AUC over the shadow models of one target; 0.5 where they are too few to attack.

        `odds` is float64 [shadow model, sample], `samples` int64 and `place` float64 [sample].
        """
        shadows, member = game.shadow_game(target, SHADOWS, samples)
        try:
            scores = self.scores_at(odds, shadows, place)
        except BadInput:  # too few models, or none of the samples has the shadow models
            return 0.5
        aucs = [roc(row, m).auc for row, m in zip(scores, member, strict=True) if m.any() and not m.all()]
        return math.fsum(aucs) / len(aucs) if aucs else 0.5


def hashed(values: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Hash each sample's label and values to a number from 0 to 1, float64 [sample].

    `values` is float64 [model, sample], `labels` int64 [sample]. The hash does not depend on the position of a sample;
    samples with equal values and labels have equal hashes.
    """
    state = labels.astype(np.uint64)
    for row in values:
        state ^= (row + 0.0).view(np.uint64)  # the sum turns -0 into 0
        state *= np.uint64(0x9E3779B97F4A7C15)
        state ^= state >> np.uint64(29)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(32)
    return np.asarray(state.astype(np.float64) / 2.0**64)
