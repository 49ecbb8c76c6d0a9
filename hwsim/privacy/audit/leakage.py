"""Results of an audit: one AttackResult per attack, and Leakage, the record of the whole audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.privacy.attack_tools.attack import Choices
from hwsim.privacy.game import Game
from hwsim.privacy.statistics.bootstrap import Statistic, percentile_interval
from hwsim.privacy.statistics.roc import Confusion, Interval, Roc, roc

MAX_FPR = 0.01
"""The false-positive rate at which `AttackResult.tpr` is read."""

MAX_FPRS = (MAX_FPR, 0.001)
"""The false-positive rates at which the true-positive rate is reported."""


@dataclass(frozen=True, eq=False)
class AttackResult:
    """Scores of one attack, and their statistics.

    Attributes
    ----------
    label : label of the attack
    auc : area under the ROC curve
    balanced_accuracy : best balanced accuracy, with the threshold chosen in hindsight
    tpr_at_fpr : true-positive rate at each false-positive rate of MAX_FPRS
    scores : float64 [target, sample]
    member : bool [target, sample]
    choices : numbers that the attack chose on the shadow models of each target, such as `temperature`: name -> float64
        [target]
    """

    label: str
    auc: Statistic
    balanced_accuracy: Statistic
    tpr_at_fpr: Mapping[float, Statistic]
    scores: NDArray[np.float64]
    member: NDArray[np.bool_]
    choices: Choices = field(default_factory=dict)

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
        """ROC curve of each target."""
        return tuple(roc(scores, member) for scores, member in zip(self.scores, self.member, strict=True))

    @property
    def best(self) -> tuple[Confusion, ...]:
        """Confusion counts of each target at its best balanced accuracy, in hindsight."""
        return tuple(curve.best for curve in self.curves)


@dataclass(frozen=True, eq=False)
class Leakage:
    """Results of an audit, one per attack; `print(leakage)` shows them in one screen.

    Attributes
    ----------
    results : one result per attack
    blind_baseline : result of a classifier that reads no model, on two of the targets; None where it was not asked for
    threat_model : the adversary's access in words
    game : the membership game
    targets : the models that were attacked
    seed : seed of the bootstrap
    n_members, n_nonmembers : int64 [target]
    warnings : statistics that the samples cannot support, samples without shadow models, and a distribution shift
        between members and non-members
    """

    results: tuple[AttackResult, ...]
    blind_baseline: AttackResult | None
    threat_model: str
    game: Game
    targets: tuple[int, ...]
    seed: int
    n_members: NDArray[np.int64]
    n_nonmembers: NDArray[np.int64]
    warnings: tuple[str, ...]

    def __getitem__(self, label: str) -> AttackResult:
        """Return the result of the attack with this label; raises UnknownName."""
        for result in self.results:
            if result.label == label:
                return result
        raise UnknownName("attack label", label, [r.label for r in self.results])

    def __str__(self) -> str:
        members, nonmembers = int(self.n_members.min()), int(self.n_nonmembers.min())
        shown = [*self.results, *([self.blind_baseline] if self.blind_baseline else [])]
        width = max(len("attack"), *(len(result.label) for result in shown))
        return "\n".join(
            [
                f"Leakage of {len(self.targets)} of {self.game.models} models: {self.threat_model}",
                f"{self.game.samples} samples; per target at least {members} members and {nonmembers} non-members",
                "",
                f"{'attack':<{width}}  AUC [95 % over samples]   balanced accuracy"
                + "".join(f"  TPR at {100 * fpr:g} % FPR" for fpr in MAX_FPRS),
                *(_line(result, width) for result in shown),
                "",
                *([f"warning: {text}" for text in self.warnings] or ["no warnings"]),
            ]
        )

    def auc_gain(self, label: str, over: str) -> Interval:
        """Return the interval over samples of the AUC of one attack less that of another, on the same resamples.

        The gain of a side channel over the outputs is `auc_gain("joint", over="lira")`.
        """
        return percentile_interval(self[label].auc.draws - self[over].auc.draws)

    def as_row(self) -> dict[str, float | int | str]:
        """Return a flat row for a table, with columns named after the attacks' labels.

        The counts of members and non-members are the smallest over the targets.
        """
        row: dict[str, float | int | str] = {}
        for result in self.results:
            for name, statistic in (
                ("auc", result.auc),
                ("balanced_accuracy", result.balanced_accuracy),
                *((f"tpr_at_fpr_{fpr}", statistic) for fpr, statistic in result.tpr_at_fpr.items()),
            ):
                column = f"{result.label}_{name}"
                row[column] = statistic.mean
                row[f"{column}_ci_low"], row[f"{column}_ci_high"] = statistic.ci_samples
                row[f"{column}_ci_targets_low"], row[f"{column}_ci_targets_high"] = statistic.ci_targets
            for name, values in result.choices.items():
                row[f"{result.label}_{name}"] = float(np.median(values))
        row["n_members"], row["n_nonmembers"] = int(self.n_members.min()), int(self.n_nonmembers.min())
        row["n_targets"] = len(self.n_members)
        row["warnings"] = "; ".join(self.warnings)
        return row


def _line(result: AttackResult, width: int) -> str:
    """Return the line of an attack in `print(leakage)`."""
    low, high = result.auc.ci_samples
    rates = [f"{result.tpr_at_fpr[fpr].mean:.4f}".center(len(f"TPR at {100 * fpr:g} % FPR")) for fpr in MAX_FPRS]
    return (
        f"{result.label:<{width}}  {result.auc.mean:.4f} [{low:.4f}, {high:.4f}]  "
        f"{result.balanced_accuracy.mean:^19.4f}  {'  '.join(rates)}"
    ).rstrip()


def paired_difference(a: Leakage, b: Leakage, label: str) -> Interval:
    """Return the interval over samples of the AUC of one attack on `a` less that on `b`, on the same resamples.

    Two designs with the same samples have correlated AUCs, so the interval is narrower than the two intervals suggest.
    Raises BadInput unless both audits have the same game, seed, targets and number of resamples, and UnknownName for an
    attack that one of them lacks.
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
    return percentile_interval(a[label].auc.draws - b[label].auc.draws)
