"""Privacy risk score of Song and Mittal: the probability that a sample was a member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import GameView, Scores
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows
from hwsim.privacy.attacks.metric.modified_entropy import negated_log_modified_entropy
from hwsim.registry import register

BINS = 20
"""Default number of bins of a class (design choice)."""


@register(
    "attack",
    "risk_score",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021, section 5",
)
class RiskScore(Attack):
    """The privacy risk score: P(member | bin of the modified entropy, class), by histograms of the shadow models.

    Above one half means member. A score is the probability that this sample was a member, so it also identifies the
    samples at risk. `bins` is the number of bins of each class.
    """

    name = "risk_score"
    needs = ("logits",)

    bins: int = Field(BINS, ge=2, le=1000, description="bins of the histograms of each class")

    def scores(self, game: GameView) -> Scores:
        """Return the risk scores of each target, from equally many IN and OUT shadow models of each sample."""
        values = negated_log_modified_entropy(game.observed["logits"], game.labels)
        return np.stack([self._risk(values, game, target) for target in game.targets.tolist()])

    def _risk(self, values: NDArray[np.float64], game: GameView, target: int) -> NDArray[np.float64]:
        """Return the risk scores of one target, float64 [sample]; `values` is float64 [model, sample]."""
        selected = balanced_shadows(game, target)
        shadow_labels = np.broadcast_to(game.labels, selected.shape)[selected]
        shadow_member = game.shadow_members(target)[selected]
        return privacy_risk(values[target], game.labels, values[selected], shadow_member, shadow_labels, self.bins)


def privacy_risk(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    shadow_values: NDArray[np.float64],
    shadow_member: NDArray[np.bool_],
    shadow_labels: NDArray[np.int64],
    bins: int = BINS,
) -> NDArray[np.float64]:
    """Return the probability that each sample was a member, given its value and its label: float64 [sample], 0 to 1.

    Per label, IN and OUT shadow values are counted in the same `bins` bins. A sample's score is the share of the
    members' histogram in its bin, with equal prior probabilities: `P(bin | in) / (P(bin | in) + P(bin | out))`. A
    sample scores one half in a bin without shadow values, or where the shadow values of its label are only of members
    or only of non-members.

    Parameters
    ----------
    values, labels : float64 and int64 [sample], of the target
    shadow_values : float64 [n], one entry per query of a shadow model
    shadow_member : bool [n]
    shadow_labels : int64 [n]
    bins : number of bins of each label

    Raises BadInput with fewer than two bins or shapes that do not fit.
    Source: Song and Mittal 2021, section 5 (the score).
    Design choice: the edges are quantiles of the label's shadow values, so that every bin is filled; one pseudo-count
    for members and one for non-members.

    >>> ones = np.ones(4, dtype=np.int64)
    >>> shadow = np.array([0.0, 0.1, 0.9, 1.0])
    >>> privacy_risk(np.array([0.05, 0.95]), ones[:2], shadow, shadow > 0.5, ones, bins=2).tolist()
    [0.25, 0.75]
    """
    if bins < 2:
        raise BadInput("risk_score.bins", bins, "2 or more")
    if not values.shape == labels.shape or not shadow_values.shape == shadow_member.shape == shadow_labels.shape:
        raise BadInput("risk_score", f"{values.shape} and {shadow_values.shape}", "arrays [sample] and shadows [n]")
    risk = np.full(len(values), 0.5)
    names, group = np.unique(labels, return_inverse=True)
    queries, shadows = np.argsort(group, kind="stable"), np.lexsort((shadow_values, shadow_labels))
    ends, ranked_labels = np.cumsum(np.bincount(group, minlength=len(names))), shadow_labels[shadows]
    for name, here in zip(names, np.split(queries, ends[:-1]), strict=True):
        low, high = np.searchsorted(ranked_labels, name), np.searchsorted(ranked_labels, name, side="right")
        ranked, member = shadow_values[shadows[low:high]], shadow_member[shadows[low:high]]
        if member.any() and not member.all():
            edges = _edges(ranked, bins)
            risk[here] = _share_of_members(edges, ranked, member)[np.searchsorted(edges, values[here], side="right")]
    return risk


def _edges(ranked: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return inner edges of bins with about equally many sorted values, float64 [at most bins - 1]; each is a value."""
    return np.unique(ranked[np.arange(1, bins) * len(ranked) // bins])


def _share_of_members(
    edges: NDArray[np.float64], values: NDArray[np.float64], member: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return P(in | bin), float64 [bin], with one pseudo-count each; `values` float64 and `member` bool are [n]."""
    place = np.searchsorted(edges, values, side="right")
    share_in, share_out = (
        (np.bincount(place[side], minlength=len(edges) + 1) + 1) / (int(side.sum()) + 1) for side in (member, ~member)
    )
    return np.asarray(share_in / (share_in + share_out))
