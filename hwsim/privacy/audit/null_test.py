"""Permutation test of an audit: the AUCs of the same attacks on memberships that had no part in the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.game_view import Observed, Scores, view_game
from hwsim.privacy.audit.leakage import CHANCE, Significance
from hwsim.privacy.game import Game
from hwsim.privacy.observation.channels.side_channels import HardwareChannel
from hwsim.privacy.statistics.multiple_tests import holm
from hwsim.privacy.statistics.roc import roc
from hwsim.registry import family
from hwsim.rng import derive_seed

DRAWS = 49
"""Default number of memberships that are drawn anew: p-values from 0.02 on, so that two corrected ones can be small."""

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class NullTest:
    """AUCs of attacks on the true membership and on memberships drawn anew.

    The p-value is exact for any attack and any channel where membership was drawn as it is drawn anew, every sample in
    half of the models: no spread is estimated, so it also holds where whole models differ, as latencies do.
    Source: B. Phipson and G. Smyth, Permutation P-values Should Never Be Zero, 2010.

    Attributes
    ----------
    labels : labels of the attacks
    auc : float64 [attack], mean over the targets
    null : float64 [draw, attack], the same with membership drawn anew
    """

    labels: tuple[str, ...]
    auc: NDArray[np.float64]
    null: NDArray[np.float64]

    def significance(self) -> dict[str, Significance]:
        """Return the two-sided p-values by label: the share of draws as far from one half, the true one included."""
        further = np.abs(self.null - CHANCE) >= np.abs(self.auc - CHANCE) - _ROUNDING
        p_values = ((1 + further.sum(axis=0)) / (len(self.null) + 1)).tolist()
        pairs = zip(p_values, holm(p_values), strict=True)
        return {label: Significance(*pair) for label, pair in zip(self.labels, pairs, strict=True)}

    def spread(self) -> dict[str, float]:
        """Return the standard deviation of the AUC over the draws, by label; 0 for one draw."""
        spreads = self.null.std(axis=0, ddof=1) if len(self.null) > 1 else np.zeros(len(self.labels))
        return dict(zip(self.labels, spreads.tolist(), strict=True))

    def __str__(self) -> str:
        width = max(len("permutation test"), *map(len, self.labels))
        spread = self.spread()
        lines = [f"{'permutation test':<{width}}  AUC     null s.d.  p       p (Holm)"]
        for label, auc in zip(self.labels, self.auc.tolist(), strict=True):
            found = self.significance()[label]
            lines.append(f"{label:<{width}}  {auc:.4f}  {spread[label]:.4f}     {found.p:.4f}  {found.p_holm:.4f}")
        smallest = 1 / (len(self.null) + 1)
        return "\n".join([*lines, f"memberships drawn anew {len(self.null)} times; p cannot be below {smallest:.2g}"])

    __repr__ = __str__


def permutation_test(
    observed: Observed,
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    draws: int = DRAWS,
    targets: Sequence[int] | None = None,
    on_draw: Callable[[str], None] = lambda step: None,
) -> NullTest:
    """Score the attacks on the true membership and on memberships drawn anew.

    Parameters
    ----------
    observed : channel name -> array [model, sample, ...]
    game : the true membership, and the labels
    attacks : attacks with different labels, one or more
    seed : seed of the memberships
    draws : number of memberships that are drawn anew
    targets : models to attack, all by default
    on_draw : called before each draw with a text that names it

    Raises BadInput without an attack or a draw.
    """
    if not attacks or draws < 1:
        raise BadInput("permutation test", f"{len(attacks)} attacks, {draws} draws", "one or more of each")
    auc = _aucs(observed, game, attacks, targets)
    null = []
    for draw in range(draws):
        on_draw(f"membership {draw + 1} of {draws}, drawn anew")
        null.append(_aucs(observed, game.shuffled(derive_seed(seed, "permutation test", draw)), attacks, targets))
    return NullTest(tuple(attack.label for attack in attacks), auc, np.array(null))


def reads_side_channel(attack: Attack) -> bool:
    """Return whether an attack reads a channel that only an accelerator has, such as latency."""
    channels = family("channel")
    return any(issubclass(channels[name].factory, HardwareChannel) for name in attack.needs)  # type: ignore[arg-type]


def _aucs(
    observed: Observed, game: Game, attacks: Sequence[Attack], targets: Sequence[int] | None
) -> NDArray[np.float64]:
    """Return the AUC of each attack, float64 [attack], mean over the targets."""
    view = view_game(observed, game.keep, game.labels, targets)
    return np.array([_mean_auc(attack.scores(view), game.keep[view.targets]) for attack in attacks])


def _mean_auc(scores: Scores, member: NDArray[np.bool_]) -> float:
    """Return the mean AUC of scores float64 and membership bool [target, sample]."""
    return float(np.mean([roc(*pair).auc for pair in zip(scores, member, strict=True)]))
