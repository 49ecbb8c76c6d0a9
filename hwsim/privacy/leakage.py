"""The audit: every model is the target in turn, every attack scores it, and the scores become statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.bootstrap import AUC, BALANCED_ACCURACY, TPR, resampled_statistics
from hwsim.privacy.attacks.base import Attack, Observed
from hwsim.privacy.game import Game
from hwsim.privacy.metrics import LEAST_FALSE_POSITIVES, roc
from hwsim.privacy.observe import Observation, stack
from hwsim.rng import stream

MAX_FPR = 0.01
"""The false-positive rate at which the true-positive rate is reported."""

RESAMPLES = 1000
"""Default number of bootstrap resamples."""

_LEAST_PER_CLASS = 10


class Interval(NamedTuple):
    """A 95 % percentile bootstrap interval."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Statistic:
    """One number of an attack: float64 [target], and its mean over the targets with two intervals.

    `draws` float64 [resample] are the means over the targets when the samples are drawn anew, the
    same samples for all targets and attacks. `over_points` is their interval: another pool of
    samples, the same trained models. `over_targets` draws the targets anew: other trainings. The
    targets share their samples and are each other's shadows, so it is the more hopeful of the two.
    """

    per_target: NDArray[np.float64]
    draws: NDArray[np.float64]
    over_points: Interval
    over_targets: Interval

    @property
    def mean(self) -> float:
        """Mean over the targets."""
        return float(self.per_target.mean())


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack achieved: AUC, best balanced accuracy, and TPR at an FPR of MAX_FPR."""

    label: str
    auc: Statistic
    balanced_accuracy: Statistic
    tpr: Statistic


@dataclass(frozen=True, eq=False)
class Leakage:
    """The results of an audit, one per attack, with the counts that they rest on.

    `n_members` and `n_nonmembers` are int64 [target]; `flags` says in words which numbers the
    samples cannot support.
    """

    results: tuple[AttackResult, ...]
    threat: str
    n_members: NDArray[np.int64]
    n_nonmembers: NDArray[np.int64]
    flags: tuple[str, ...]

    def __getitem__(self, label: str) -> AttackResult:
        """The result of the attack with this label; raises UnknownName."""
        for result in self.results:
            if result.label == label:
                return result
        raise UnknownName("attack label", label, [r.label for r in self.results])

    def auc_gain(self, label: str, over: str) -> Interval:
        """Interval over points of the AUC of one attack less that of another, on the same resamples.

        What a side channel adds to the outputs: `auc_gain("joint", over="lira")`.
        """
        return _interval(self[label].auc.draws - self[over].auc.draws)

    def as_row(self) -> dict[str, float | int | str]:
        """A flat row for a table, columns named after the attacks' labels.

        Of the counts of members and non-members it holds the smallest over the targets.
        """
        row: dict[str, float | int | str] = {}
        for result in self.results:
            for name, statistic in (
                ("auc", result.auc),
                ("balanced_accuracy", result.balanced_accuracy),
                (f"tpr_at_fpr_{MAX_FPR}", result.tpr),
            ):
                column = f"{result.label}_{name}"
                row[column] = statistic.mean
                row[f"{column}_low"], row[f"{column}_high"] = statistic.over_points
                row[f"{column}_target_low"], row[f"{column}_target_high"] = statistic.over_targets
        row["n_members"], row["n_nonmembers"] = int(self.n_members.min()), int(self.n_nonmembers.min())
        row["n_targets"] = len(self.n_members)
        row["flags"] = "; ".join(self.flags)
        return row


def audit(
    observations: Sequence[Observation],
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
) -> Leakage:
    """Play the game: every model is the target in turn, and the others are its shadow models.

    `observations` holds one Observation per model of the game, all made in the same way, so the
    shadows match the target. `seed` fixes the bootstrap. Raises BadInput when an attack lacks a
    channel or gives scores that are not finite, when two attacks have one label, or when a target
    has fewer than 10 members or non-members.
    """
    _check(observations, game, attacks, resamples)
    observed = stack(observations)
    counts = _resample_counts(game.samples, resamples, seed)
    results = tuple(_play(attack, observed, game, counts, seed) for attack in attacks)
    members = game.keep.sum(axis=1, dtype=np.int64)
    nonmembers = game.samples - members
    return Leakage(results, observations[0].threat, members, nonmembers, _flags(int(nonmembers.min())))


def audit_null(
    observations: Sequence[Observation],
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
) -> Leakage:
    """The same audit with membership drawn anew: every AUC must be one half within its interval.

    Arguments and errors as in `audit`. A null audit that finds a leak has found a fault in the
    attack or in the statistics, and a leak that it does not stand out from is none.
    """
    return audit(observations, game.shuffled(seed), attacks, seed, resamples)


def _check(observations: Sequence[Observation], game: Game, attacks: Sequence[Attack], resamples: int) -> None:
    if len(observations) != game.models:
        raise BadInput("observations", f"{len(observations)} models", f"{game.models}, one per model of the game")
    if observations[0].samples != game.samples:
        raise BadInput("observations", f"{observations[0].samples} samples", f"{game.samples}, as in the game")
    members = game.keep.sum(axis=1)
    fewest = int(min(members.min(), game.samples - members.max()))
    if fewest < _LEAST_PER_CLASS:
        raise BadInput("game.samples", f"a target with {fewest} of a class", f"{_LEAST_PER_CLASS} or more of each")
    if resamples < 1:
        raise BadInput("resamples", resamples, "1 or more")
    repeated = [label for label, n in Counter(a.label for a in attacks).items() if n > 1]
    if repeated:
        raise BadInput("attacks", f"{repeated[0]} twice", "each attack once")
    for attack in attacks:
        for channel in attack.needs:
            if channel not in observations[0].channels:
                seen = ", ".join(observations[0].channels)
                raise BadInput("channels", seen, f"channels with {channel}, which the attack {attack.label} needs")


def _play(attack: Attack, observed: Observed, game: Game, counts: NDArray[np.int32], seed: int) -> AttackResult:
    scores = attack.scores(observed, game.keep, game.labels)
    if scores.shape != game.keep.shape or not np.isfinite(scores).all():
        raise BadInput(f"attack {attack.label}", f"scores {scores.shape}", f"finite scores {game.keep.shape}")
    curves = [roc(scores[t], game.keep[t]) for t in range(game.models)]
    draws = _bootstrap(scores, game.keep, counts)

    def statistic(which: int, values: list[float]) -> Statistic:
        per_target = np.array(values)
        means = draws[which].mean(axis=1)
        return Statistic(per_target, means, _interval(means), _interval(_target_draws(per_target, len(means), seed)))

    return AttackResult(
        attack.label,
        auc=statistic(AUC, [c.auc for c in curves]),
        balanced_accuracy=statistic(BALANCED_ACCURACY, [c.balanced_accuracy for c in curves]),
        tpr=statistic(TPR, [c.tpr_at_fpr(MAX_FPR) for c in curves]),
    )


def _resample_counts(samples: int, resamples: int, seed: int) -> NDArray[np.int32]:
    """How often each sample is drawn, int32 [resample, sample]; a stream of its own for each resample."""
    counts = np.empty((resamples, samples), dtype=np.int32)
    for r in range(resamples):
        drawn = stream(seed, "bootstrap points", r).integers(samples, size=samples)
        counts[r] = np.bincount(drawn, minlength=samples)
    return counts


def _bootstrap(scores: NDArray[np.float64], keep: NDArray[np.bool_], counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64 [statistic, resample, target] from scores that are sorted once."""
    order = np.argsort(-scores, axis=1, kind="stable").astype(np.int32)
    ranked = np.take_along_axis(scores, order, axis=1)
    group_end = np.ones(scores.shape, dtype=np.bool_)
    group_end[:, :-1] = ranked[:, 1:] != ranked[:, :-1]
    return resampled_statistics(order, np.take_along_axis(keep, order, axis=1), group_end, counts, MAX_FPR)


def _target_draws(per_target: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    targets = len(per_target)
    drawn = stream(seed, "bootstrap targets").integers(targets, size=(resamples, targets))
    return np.asarray(per_target[drawn].mean(axis=1))


def _interval(draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))


def _flags(nonmembers: int) -> tuple[str, ...]:
    if MAX_FPR * nonmembers >= LEAST_FALSE_POSITIVES:
        return ()
    return (
        f"tpr_at_fpr_{MAX_FPR} rests on {MAX_FPR * nonmembers:g} false positives per target, "
        f"fewer than {LEAST_FALSE_POSITIVES}",
    )
