"""What every attack is: channels in, one score per target and sample out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.registry import Choice

Observed = Mapping[str, NDArray[Any]]
"""Channel name -> array [model, sample, ...]."""


class Attack(Choice):
    """Base of the attacks; a subclass names the channels that it needs and computes the scores."""

    name: ClassVar[str]

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

    def scores(self, observed: Observed, keep: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score every sample against every target, float64 [model, sample]; larger is more member-like.

        `observed` holds at least the channels that the attack needs, [model, sample, ...]; `keep` is
        bool [model, sample] and `labels` int64 [sample], as in a Game. Row t scores target t and
        reads the rows of `keep` of the other models only, its shadows.
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
    own = true_logit(logits, labels)
    if logits.shape[-1] < 2:
        raise BadInput("logits", f"{logits.shape[-1]} class", "two classes or more")
    others = np.where(np.arange(logits.shape[-1]) == labels[:, None], -np.inf, logits)
    return own - logsumexp(others)


def true_logit(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logit of each sample's label, [..., sample]; raises BadInput for a label that is no class."""
    classes = logits.shape[-1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise BadInput("labels", f"{labels.min()} to {labels.max()}", f"0 to {classes - 1}, the classes of the logits")
    own: NDArray[np.float64] = logits[..., np.arange(len(labels)), labels]
    return own


def logsumexp(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(sum(exp(values))) over the last axis, shifted by the largest value; needs one finite value."""
    top = values.max(axis=-1)
    total: NDArray[np.float64] = top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
    return total
