"""What every attack is: channels in, one score per target and sample out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.kernels.membership.log_odds import label_log_odds
from hwsim.registry import Configurable

Observed = Mapping[str, NDArray[Any]]
"""Channel name -> array [model, sample, ...]."""


class Attack(Configurable):
    """Base of the attacks; a subclass names the channels that it needs and computes the scores.

    `least_models` is the smallest game in which it can be played.
    """

    name: ClassVar[str]
    least_models: ClassVar[int] = 4

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the channels that `scores` reads."""
        raise NotImplementedError

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

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """Score every sample against the targets, float64 [target, sample]; larger is more member-like.

        `observed` holds at least the channels that the attack needs, [model, sample, ...]; `keep` is
        bool [model, sample] and `labels` int64 [sample], as in a Game. Row i scores the model
        `targets[i]`, every model in turn when no targets are given. It reads the rows of `keep` of
        the other models only, its shadows.
        """
        raise NotImplementedError


def log_odds(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """phi = log p_y / (1 - p_y) = z_y - logsumexp of the other logits, so that nothing saturates.

    `logits` float64 [..., sample, class], `labels` int64 [sample]; returns float64 [..., sample].
    Raises BadInput with fewer than two classes or a label that is no class.
    Source: N. Carlini et al., Membership Inference Attacks From First Principles, 2022, section VI.

    >>> log_odds(np.array([[120.0, 0.0, 0.0]]), np.array([0])).round(1).tolist()
    [119.3]
    """
    classes = logits.shape[-1]
    if classes < 2:
        raise BadInput("logits", f"{classes} class", "two classes or more")
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise BadInput("labels", f"{labels.min()} to {labels.max()}", f"0 to {classes - 1}, the classes of the logits")
    rows = np.ascontiguousarray(logits, dtype=np.float64).reshape(-1, classes)
    return np.asarray(label_log_odds(rows, labels).reshape(logits.shape[:-1]))


def target_rows(models: int, targets: Sequence[int] | None) -> NDArray[np.int64]:
    """The models that `scores` is asked for, int64 [target]: every one when `targets` is None.

    Raises BadInput when one of them is no model of the game.

    >>> target_rows(3, None).tolist(), target_rows(3, [2]).tolist()
    ([0, 1, 2], [2])
    """
    rows = np.arange(models, dtype=np.int64) if targets is None else np.asarray(targets, dtype=np.int64).reshape(-1)
    for row in rows.tolist():
        if not 0 <= row < models:
            raise BadInput("targets", row, f"0 to {models - 1}, the models of the game")
    return rows
