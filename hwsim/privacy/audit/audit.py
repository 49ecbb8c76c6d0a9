"""The audit: every model is the target in turn, every attack scores it, and the scores become statistics."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.membership.bootstrap import AUC, BALANCED_ACCURACY, TPR, places_of, resampled_statistics
from hwsim.privacy.attack_tools.attack import Attack, Observed
from hwsim.privacy.attack_tools.shadow_selection import ShadowAttack
from hwsim.privacy.audit.blind_baseline import blind_scores, is_shift
from hwsim.privacy.game import Game
from hwsim.privacy.observation.observe import Observation, stack
from hwsim.privacy.sample_keys import content_keys
from hwsim.privacy.statistics.roc import LEAST_FALSE_POSITIVES, Confusion, Interval, Roc, roc
from hwsim.rng import derive_seed, stream

MAX_FPR = 0.01
"""The false-positive rate at which `AttackResult.tpr` is read."""

MAX_FPRS = (MAX_FPR, 0.001)
"""The false-positive rates at which the true-positive rate is reported."""

RESAMPLES = 1000
"""Default number of bootstrap resamples."""

BLIND = "blind"
"""Label of the blind baseline, which sees no model."""

_LEAST_PER_CLASS = 10
_BLIND_TARGETS = 2
"""The blind baseline looks at so many targets, evenly spread: all are drawn by the same hand."""

_MOST_REMEMBERED = 256
_blind_memory: dict[str, NDArray[np.float64]] = {}
"""Blind scores of earlier games: the designs of a study play the same one, and no model changes them."""


@dataclass(frozen=True, eq=False)
class Statistic:
    """One number of an attack: float64 [target], and its mean over the targets with two 95 % intervals.

    `draws` float64 [resample] are the means over the targets when the samples are drawn anew, the
    same samples for all targets and attacks. `ci_samples` is their interval: another pool of
    samples, the same trained models. `ci_targets` draws the targets anew: other trainings. The
    targets share their samples and are each other's shadows, so it is the more hopeful of the two.
    Both are percentile intervals of the bootstrap.
    """

    per_target: NDArray[np.float64]
    draws: NDArray[np.float64]
    ci_samples: Interval
    ci_targets: Interval

    @property
    def mean(self) -> float:
        """Mean over the targets."""
        return float(self.per_target.mean())


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What one attack achieved, and the scores that say so.

    `balanced_accuracy` is the best in hindsight; `tpr_at_fpr` has a Statistic for each of MAX_FPRS.
    `scores` float64 and `member` bool are [target, sample].
    """

    label: str
    auc: Statistic
    balanced_accuracy: Statistic
    tpr_at_fpr: Mapping[float, Statistic]
    scores: NDArray[np.float64]
    member: NDArray[np.bool_]

    @property
    def tpr(self) -> Statistic:
        """TPR at an FPR of MAX_FPR."""
        return self.tpr_at_fpr[MAX_FPR]

    @property
    def advantage(self) -> float:
        """Mean over the targets of the largest TPR - FPR, in hindsight (Yeom et al. 2018, definition 4)."""
        return 2 * self.balanced_accuracy.mean - 1

    @property
    def curves(self) -> tuple[Roc, ...]:
        """The ROC curve of each target."""
        return tuple(roc(scores, member) for scores, member in zip(self.scores, self.member, strict=True))

    @property
    def best(self) -> tuple[Confusion, ...]:
        """Accuracy, precision, recall and F1 of each target at its best balanced accuracy, in hindsight."""
        return tuple(curve.best for curve in self.curves)


@dataclass(frozen=True, eq=False)
class Leakage:
    """The results of an audit, one per attack, with the counts that they rest on.

    `n_members` and `n_nonmembers` are int64 [target]; `flags` says in words which numbers the
    samples cannot support, and whether members and non-members differ before any model is asked:
    `blind` is the result of a classifier that sees no model, on two of the targets. `targets` are
    the models that were attacked, and `seed` fixed the bootstrap.
    """

    results: tuple[AttackResult, ...]
    blind_baseline: AttackResult
    threat_model: str
    game: Game
    targets: tuple[int, ...]
    seed: int
    n_members: NDArray[np.int64]
    n_nonmembers: NDArray[np.int64]
    warnings: tuple[str, ...]

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
                *((f"tpr_at_fpr_{fpr}", found) for fpr, found in result.tpr_at_fpr.items()),
            ):
                column = f"{result.label}_{name}"
                row[column] = statistic.mean
                row[f"{column}_ci_low"], row[f"{column}_ci_high"] = statistic.ci_samples
                row[f"{column}_ci_targets_low"], row[f"{column}_ci_targets_high"] = statistic.ci_targets
        row["n_members"], row["n_nonmembers"] = int(self.n_members.min()), int(self.n_nonmembers.min())
        row["n_targets"] = len(self.n_members)
        row["warnings"] = "; ".join(self.warnings)
        return row


def paired_difference(a: Leakage, b: Leakage, label: str) -> Interval:
    """Interval over points of the AUC of one attack on design `a` less that on design `b`, on the same resamples.

    Two designs answered the same samples, so what is peculiar to the samples cancels, and the interval is
    narrower than the two intervals would suggest. Raises BadInput unless both audits played the same game
    with the same seed, targets and number of resamples, and UnknownName for an attack that one lacks.
    """
    same = {
        "game": np.array_equal(a.game.keep, b.game.keep) and np.array_equal(a.game.labels, b.game.labels),
        "seed": a.seed == b.seed,
        "targets": a.targets == b.targets,
        "resamples": len(a[label].auc.draws) == len(b[label].auc.draws),
    }
    for what, equal in same.items():
        if not equal:
            raise BadInput("paired difference", f"two audits that differ in {what}", "the same game, seed and targets")
    return _interval(a[label].auc.draws - b[label].auc.draws)


def audit(
    observations: Sequence[Observation],
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
    targets: Sequence[int] | None = None,
    inputs: NDArray[Any] | None = None,
) -> Leakage:
    """Play the game: every model is the target in turn, and the others are its shadow models.

    `observations` holds one Observation per model of the game, all made in the same way, so the
    shadows match the target. `seed` fixes the bootstrap. `targets` names the models to attack when
    not all are. `inputs` [sample, ...] are what the models were asked; the blind baseline reads them,
    else the channel `inputs`, else the labels alone. Raises BadInput when an attack lacks a
    channel or models or gives scores that are not finite, when two attacks have one label, or when a
    target has fewer than 10 members or non-members.
    """
    if len(observations) != game.models:
        raise BadInput("observations", f"{len(observations)} models", f"{game.models}, one per model of the game")
    if observations[0].samples != game.samples:
        raise BadInput("observations", f"{observations[0].samples} samples", f"{game.samples}, as in the game")
    if inputs is None:
        inputs = observations[0].channels.get("inputs")
    return audit_arrays(
        stack(observations), game, attacks, seed, resamples, targets, inputs, threat=observations[0].threat
    )


def audit_arrays(
    observed: Observed,
    game: Game,
    attacks: Sequence[Attack],
    seed: int,
    resamples: int = RESAMPLES,
    targets: Sequence[int] | None = None,
    inputs: NDArray[Any] | None = None,
    threat: str = "one query per sample",
    told: Callable[[str], None] = lambda label: None,
) -> Leakage:
    """The audit of channels that are arrays already, [model, sample, ...]; otherwise as `audit`.

    `told` hears the label of each attack before it starts.
    """
    chosen = tuple(range(game.models)) if targets is None else tuple(targets)
    _check(observed, game, attacks, resamples, chosen)
    seeds = _resample_seeds(resamples, seed)
    member = game.keep[list(chosen)]
    if inputs is None and "inputs" in observed:
        inputs = observed["inputs"][0]
    told(BLIND)
    blind_targets = chosen[:: -(-len(chosen) // _BLIND_TARGETS)]
    blind = _result(BLIND, _blind(inputs, observed, game, blind_targets), game.keep[list(blind_targets)], seeds, seed)
    results = []
    for attack in attacks:
        told(attack.label)
        scores = attack.scores(observed, game.keep, game.labels, chosen)
        results.append(_result(attack.label, scores, member, seeds, seed))
    members = member.sum(axis=1, dtype=np.int64)
    nonmembers = game.samples - members
    flags = (
        *_flags(int(nonmembers.min())),
        *_without_shadows(attacks, game, chosen),
        *_shift(blind, game, blind_targets),
    )
    return Leakage(tuple(results), blind, threat, game, chosen, seed, members, nonmembers, flags)


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


def _check(observed: Observed, game: Game, attacks: Sequence[Attack], resamples: int, targets: tuple[int, ...]) -> None:
    wrong = [target for target in targets if not 0 <= target < game.models]
    if wrong or not targets or len(set(targets)) < len(targets):
        raise BadInput("targets", str(list(targets)), f"models 0 to {game.models - 1}, each once")
    members = game.keep[list(targets)].sum(axis=1)
    fewest = int(min(members.min(), game.samples - members.max()))
    if fewest < _LEAST_PER_CLASS:
        kind = "members" if fewest == members.min() else "non-members"
        raise BadInput("game.samples", f"a target with {fewest} {kind}", f"{_LEAST_PER_CLASS} or more of each")
    if resamples < 1:
        raise BadInput("resamples", resamples, "1 or more")
    repeated = [label for label, n in Counter(a.label for a in attacks).items() if n > 1]
    if repeated:
        raise BadInput("attacks", f"{repeated[0]} twice", "each attack once")
    for attack in attacks:
        for channel in attack.needs:
            if channel not in observed:
                seen = ", ".join(observed)
                raise BadInput("channels", seen, f"channels with {channel}, which the attack {attack.label} needs")
        if game.models < attack.least_models:
            allowed = f"{attack.least_models} or more for the attack {attack.label}"
            raise BadInput("game.models", game.models, allowed)


def _result(
    label: str, scores: NDArray[np.float64], member: NDArray[np.bool_], seeds: NDArray[np.uint64], seed: int
) -> AttackResult:
    """The statistics of an attack's scores, [target, sample]."""
    if scores.shape != member.shape or not np.isfinite(scores).all():
        raise BadInput(f"attack {label}", f"scores {scores.shape}", f"finite scores {member.shape}")
    curves = [roc(scores[t], member[t]) for t in range(len(member))]
    draws = resampled_statistics(places_of(scores, member), seeds, np.array(MAX_FPRS))

    def statistic(which: int, values: list[float]) -> Statistic:
        per_target = np.array(values)
        means = draws[which].mean(axis=1)
        return Statistic(per_target, means, _interval(means), _interval(_target_draws(per_target, len(means), seed)))

    return AttackResult(
        label,
        auc=statistic(AUC, [c.auc for c in curves]),
        balanced_accuracy=statistic(BALANCED_ACCURACY, [c.balanced_accuracy for c in curves]),
        tpr_at_fpr={fpr: statistic(TPR + k, [c.tpr_at_fpr(fpr) for c in curves]) for k, fpr in enumerate(MAX_FPRS)},
        scores=scores,
        member=member,
    )


def _resample_seeds(resamples: int, seed: int) -> NDArray[np.uint64]:
    """A stream of its own for each resample."""
    return np.array([derive_seed(seed, "bootstrap points", r) for r in range(resamples)], dtype=np.uint64)


def _target_draws(per_target: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    targets = len(per_target)
    drawn = stream(seed, "bootstrap targets").integers(targets, size=(resamples, targets))
    return np.asarray(per_target[drawn].mean(axis=1))


def _interval(draws: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(low), float(high))


def _flags(nonmembers: int) -> tuple[str, ...]:
    """What so few non-members cannot support."""
    return tuple(
        f"tpr_at_fpr_{fpr} rests on {fpr * nonmembers:g} false positives per target, fewer than {LEAST_FALSE_POSITIVES}"
        for fpr in MAX_FPRS
        if fpr * nonmembers < LEAST_FALSE_POSITIVES
    )


def _without_shadows(attacks: Sequence[Attack], game: Game, targets: tuple[int, ...]) -> tuple[str, ...]:
    """How many samples some attacks had nothing to compare with."""
    found: dict[str, int] = {}
    for attack in attacks:
        if isinstance(attack, ShadowAttack):
            found[attack.label] = int(attack.without_shadows(game.keep, targets).max())
    return tuple(
        f"{label}: up to {count} samples of a target have no shadow model on a side, and a score in the middle"
        for label, count in found.items()
        if count
    )


def _blind(
    inputs: NDArray[Any] | None, observed: Observed, game: Game, targets: tuple[int, ...]
) -> NDArray[np.float64]:
    """The scores of the blind baseline; with inputs, which take longer, computed once for each game."""
    if inputs is None:
        return blind_scores(None, game.labels, game.keep, targets, _names(observed, game, targets))
    flat = np.ascontiguousarray(inputs.reshape(len(inputs), -1))
    state = hashlib.sha256(repr((targets, game.keep.shape, flat.dtype.str)).encode())
    for array in (game.keep, game.labels, flat):
        state.update(np.ascontiguousarray(array).data)
    key = state.hexdigest()
    if key not in _blind_memory:
        if len(_blind_memory) == _MOST_REMEMBERED:
            _blind_memory.pop(next(iter(_blind_memory)))
        _blind_memory[key] = blind_scores(flat, game.labels, game.keep, targets)
    return _blind_memory[key]


def _names(observed: Observed, game: Game, targets: tuple[int, ...]) -> NDArray[np.uint64]:
    """What tells samples apart where there are no inputs: labels, other targets' members, some of what was observed."""
    others = np.delete(game.keep, targets, axis=0).T
    seen = [np.moveaxis(values[:8], 0, 1).reshape(game.samples, -1)[:, :64] for values in observed.values()]
    return content_keys(game.labels, others, *seen)


def _shift(blind: AttackResult, game: Game, targets: tuple[int, ...]) -> tuple[str, ...]:
    """Whether members and non-members are told apart without any model."""
    if not is_shift(blind.scores, game.keep, targets):
        return ()
    low, high = blind.auc.ci_samples
    return (
        f"distribution shift: a classifier that sees no model tells members from non-members, AUC {blind.auc.mean:.3f} "
        f"[{low:.3f}, {high:.3f}], so the attacks may find the same",
    )
