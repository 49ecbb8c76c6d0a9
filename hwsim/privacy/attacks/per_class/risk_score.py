"""Song and Mittal's privacy risk score: how probable it is that a sample was a member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack, Observed, target_rows
from hwsim.privacy.attack_tools.shadow_selection import balanced_shadows
from hwsim.privacy.attacks.metric.modified_entropy import ModifiedEntropy
from hwsim.registry import register

BINS = 20
"""Default number of bins of a class (our own choice)."""


@register(
    "attack",
    "risk_score",
    citation="L. Song and P. Mittal, Systematic Evaluation of Privacy Risks, USENIX Sec. 2021, section 5",
)
class RiskScore(Attack):
    """The privacy risk score: P(member | bin of the modified entropy, class), by histograms of the shadows.

    Above one half means member. A score says how probable it is that this sample was a member, so it
    also names the samples at risk. `bins` is the number of bins of each class.
    """

    name = "risk_score"

    bins: int = Field(BINS, ge=2, le=1000, description="bins of the histograms of each class")

    @property
    def needs(self) -> tuple[str, ...]:
        """The logits."""
        return ModifiedEntropy().needs

    def scores(
        self,
        observed: Observed,
        keep: NDArray[np.bool_],
        labels: NDArray[np.int64],
        targets: Sequence[int] | None = None,
    ) -> NDArray[np.float64]:
        """See Attack."""
        values = ModifiedEntropy().scores(observed, keep, labels)
        rows = target_rows(len(keep), targets)
        return np.stack([_risk_of(values, keep, labels, target, self.bins) for target in rows.tolist()])


def _risk_of(
    values: NDArray[np.float64], keep: NDArray[np.bool_], labels: NDArray[np.int64], target: int, bins: int
) -> NDArray[np.float64]:
    """The risk scores of one target, whose shadows speak equally often for either side."""
    chosen = balanced_shadows(keep, target)
    shadow_labels = np.broadcast_to(labels, keep.shape)[chosen]
    return privacy_risk(values[target], labels, values[chosen], keep[chosen], shadow_labels, bins)


def privacy_risk(
    values: NDArray[np.float64],
    labels: NDArray[np.int64],
    shadow_values: NDArray[np.float64],
    shadow_member: NDArray[np.bool_],
    shadow_labels: NDArray[np.int64],
    bins: int = BINS,
) -> NDArray[np.float64]:
    """Probability that each sample was a member, given its value and its label: float64 [sample], 0 to 1.

    `values` float64 and `labels` int64 [sample] are the target's, the three shadow arrays [n] are one
    entry per query of a shadow model, `shadow_member` bool. Per label, both sides of the shadows are
    counted in the same `bins` bins, and a sample's score is the share of the members' histogram in its
    bin, both sides taken as equally likely beforehand:
    `P(bin | in) / (P(bin | in) + P(bin | out))`. A sample in a bin that no shadow fell in, or whose
    label the shadows show on one side only, scores one half.

    Raises BadInput with fewer than two bins or shapes that do not fit.
    Source: Song and Mittal 2021, section 5 (the score). The edges, quantiles of the label's shadow
    values so that every bin is filled, and one pseudo-count on either side are our own choice.

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
    """Inner edges of bins that hold about equally many sorted values, float64 [at most bins - 1]; each is a value."""
    return np.unique(ranked[np.arange(1, bins) * len(ranked) // bins])


def _share_of_members(
    edges: NDArray[np.float64], values: NDArray[np.float64], member: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """P(in | bin), float64 [bin], with one pseudo-count on either side."""
    place = np.searchsorted(edges, values, side="right")
    share_in, share_out = (
        (np.bincount(place[side], minlength=len(edges) + 1) + 1) / (int(side.sum()) + 1) for side in (member, ~member)
    )
    return np.asarray(share_in / (share_in + share_out))
