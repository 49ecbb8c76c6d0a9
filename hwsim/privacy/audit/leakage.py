"""Results of an audit: one AttackResult per attack, and Leakage, the record of the whole audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, UnknownName
from hwsim.kernels.membership.bootstrap import places_of
from hwsim.privacy.attack_tools.attack import Choices
from hwsim.privacy.game import Game
from hwsim.privacy.statistics.components import auc_components, difference, ratio_components
from hwsim.privacy.statistics.intervals import epsilon_lower_bound
from hwsim.privacy.statistics.mean_over_targets import (
    DIFFERENCE,
    DIFFERENCE_TO_RESOLVE,
    POWER,
    Statistic,
    of_components,
    size_needed,
    standard_error_needed,
)
from hwsim.privacy.statistics.multiple_tests import holm
from hwsim.privacy.statistics.roc import Confusion, Interval, Roc, roc

MAX_FPR = 0.01
"""The false-positive rate at which `AttackResult.tpr` is read."""

MAX_FPRS = (MAX_FPR, 0.001)
"""The false-positive rates at which the true-positive rate is reported."""

CHANCE = 0.5
"""AUC of guessing."""


class Significance(NamedTuple):
    """Two-sided p-values of an AUC of one half.

    Attributes
    ----------
    p : of this attack alone
    p_holm : corrected for the number of attacks of the audit
    """

    p: float
    p_holm: float


@dataclass(frozen=True, eq=False)
class AttackResult:
    """Scores of one attack, and their statistics.

    Attributes
    ----------
    label : label of the attack
    auc : area under the ROC curve
    balanced_accuracy : best balanced accuracy, with the threshold chosen in hindsight
    tpr_at_fpr : true-positive rate at each false-positive rate of MAX_FPRS
    tnr_at_fnr : true-negative rate at each false-negative rate of MAX_FPRS
    scores : float64 [target, sample]
    member : bool [target, sample]
    choices : numbers that the attack chose on the shadow models of each target, such as `temperature`: name -> float64
        [target]
    """

    label: str
    auc: Statistic
    balanced_accuracy: Statistic
    tpr_at_fpr: Mapping[float, Statistic]
    tnr_at_fnr: Mapping[float, Statistic]
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

    @property
    def at_best(self) -> dict[str, Statistic]:
        """Accuracy, precision, recall and F1, of members and of non-members, at the best balanced accuracy.

        The threshold of each target is chosen in hindsight.
        """
        predicted = predicted_at_best(self.scores, self.curves)
        correct = predicted == self.member
        found = {"accuracy": of_components(ratio_components(correct, np.ones_like(correct)), hindsight=True)}
        for end, positive, guessed in (("", self.member, predicted), ("_nonmembers", ~self.member, ~predicted)):
            hit = positive & guessed
            found[f"precision{end}"] = of_components(ratio_components(hit, guessed), hindsight=True)
            found[f"recall{end}"] = of_components(ratio_components(hit, positive), hindsight=True)
            both = positive.astype(np.int64) + guessed
            found[f"f1{end}"] = of_components(ratio_components(2 * hit, both), hindsight=True)
        return found

    def epsilon_at_least(self, seed: int, delta: float = 0.0, confidence: float = 0.95) -> float | None:
        """Return the epsilon below which no (epsilon, delta)-private training could be, with this confidence.

        It is the largest bound of the targets (`epsilon_lower_bound`), each at a confidence that is corrected for their
        number (Bonferroni). None where a half of the samples lacks members or non-members.
        """
        each = 1 - (1 - confidence) / len(self.member)
        pairs = zip(self.scores, self.member, strict=True)
        try:
            return max(epsilon_lower_bound(*pair, seed, delta, each).epsilon for pair in pairs)
        except BadInput as error:
            if error.where == "member":
                return None
            raise

    def __repr__(self) -> str:
        return f"AttackResult({self.label!r}, auc={self.auc!r}, scores of {self.scores.shape[1]} samples)"


def predicted_at_best(scores: NDArray[np.float64], curves: Sequence[Roc]) -> NDArray[np.bool_]:
    """Return the members that each target's best threshold predicts, bool [target, sample].

    `scores` is float64 [target, sample]; `curves` has the ROC curve of each target.
    """
    return scores >= np.array([curve.best_threshold for curve in curves])[:, None]


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
        shown = [*self.results, *([self.blind_baseline] if self.blind_baseline else [])]
        members, samples = _range(self.n_members), f"{self.game.samples:,} samples"
        return "\n".join(
            [
                f"Leakage of {len(self.targets)} of {self.game.models} models: {self.threat_model}",
                f"{samples}; per target {members} of them members",
                "",
                *_table(shown, self.significance(), self.game.samples),
                "",
                "means over the targets; 95 % intervals, for other samples and models; s.e.: standard error of the AUC",
                f"p: of an AUC of 0.5, no leak; corrected for {_count(len(self.results), 'attack')} (Holm)",
                f"for .01: models x samples that would resolve {DIFFERENCE_TO_RESOLVE:g} of AUC, a standard error of "
                f"{standard_error_needed():.4f}, with a power of {100 * POWER:g} %",
                *([f"warning: {text}" for text in self.warnings] or ["no warnings"]),
            ]
        )

    def __repr__(self) -> str:
        labels = ", ".join(result.label for result in self.results)
        return f"Leakage({len(self.targets)} of {self.game.models} models, {self.game.samples} samples: {labels})"

    def significance(self) -> dict[str, Significance]:
        """Return the p-values of each attack by its label, for the hypothesis that its AUC is one half."""
        p_values = [result.auc.p_value(CHANCE) for result in self.results]
        pairs = zip(p_values, holm(p_values), strict=True)
        return {result.label: Significance(*pair) for result, pair in zip(self.results, pairs, strict=True)}

    def auc_gain(self, label: str, over: str) -> Interval:
        """Return the 95 % interval of the AUC of one attack less that of another, on the same targets and samples.

        The gain of a side channel over the outputs is `auc_gain("joint", over="lira")`; `paired_auc` has its mean too.
        """
        return paired_auc(self[label], self[over]).ci

    def as_row(self) -> dict[str, float | int | str | None]:
        """Return a flat row for a table, with columns named after the attacks' labels.

        The counts of members and non-members are the smallest over the targets.
        """
        row: dict[str, float | int | str | None] = {}
        significance = self.significance()
        for result in self.results:
            for name, statistic in (
                ("auc", result.auc),
                ("balanced_accuracy", result.balanced_accuracy),
                *((f"tpr_at_fpr_{fpr}", statistic) for fpr, statistic in result.tpr_at_fpr.items()),
            ):
                row |= statistic_columns(f"{result.label}_{name}", statistic)
            row |= significance_columns(f"{result.label}_", result, significance[result.label], self.game.samples)
            for name, values in result.choices.items():
                row[f"{result.label}_{name}"] = float(np.median(values))
        row["n_members"], row["n_nonmembers"] = int(self.n_members.min()), int(self.n_nonmembers.min())
        row["n_targets"] = len(self.n_members)
        row["warnings"] = "; ".join(self.warnings)
        return row


def statistic_columns(name: str, statistic: Statistic) -> dict[str, float]:
    """Return the columns of one statistic: its mean, interval, standard error, and the models' part of the latter."""
    low, high = statistic.ci
    return {
        name: statistic.mean,
        f"{name}_ci_low": low,
        f"{name}_ci_high": high,
        f"{name}_se": statistic.se,
        f"{name}_se_models": statistic.se_models,
    }


def significance_columns(
    prefix: str, result: AttackResult, significance: Significance, samples: int
) -> dict[str, float | int | None]:
    """Return the columns of an attack's p-values, and of the models and samples that would resolve 0.01 of AUC."""
    needed = size_needed(result.auc, samples)
    return {
        f"{prefix}auc_p": significance.p,
        f"{prefix}auc_p_holm": significance.p_holm,
        f"{prefix}needed_models": needed.models if needed else None,
        f"{prefix}needed_samples": needed.samples if needed else None,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _range(counts: NDArray[np.int64]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _table(results: Sequence[AttackResult], significance: Mapping[str, Significance], samples: int) -> list[str]:
    """Return the lines of the table in `print(leakage)`: a heading, and one line per attack."""
    head = ["attack", "AUC", "s.e.", "p", "balanced accuracy", "TPR@1%", "TPR@0.1%", "for .01"]
    cells = [head]
    for result in results:
        (low, high), found = result.auc.ci, significance.get(result.label)
        needed = size_needed(result.auc, samples)
        cells.append(
            [
                result.label,
                f"{result.auc.mean:.4f} [{low:.4f}, {high:.4f}]",
                f"{result.auc.se:.4f}",
                "" if found is None else "<.0001" if found.p_holm < 1e-4 else f"{found.p_holm:.4f}",
                f"{result.balanced_accuracy.mean:.4f}",
                *(f"{result.tpr_at_fpr[fpr].mean:.4f}" for fpr in MAX_FPRS),
                f"{needed.models} x {needed.samples:,}" if needed else "",
            ]
        )
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells]


def paired_auc(a: AttackResult, b: AttackResult) -> Statistic:
    """Return the AUC of one attack less that of another on the same targets and samples, with its interval.

    The two AUCs rise and fall together, so the interval is narrower than their own intervals suggest. Raises BadInput
    when the two have other members.

    Of one design, `a` and `b` are two attacks; of two designs that share a game, they are the same attack.
    """
    if not np.array_equal(a.member, b.member):
        raise BadInput("paired AUC", "two results with other members", "the same game and targets")
    found = (auc_components(places_of(result.scores, result.member), result.member) for result in (a, b))
    return of_components(difference(*found), DIFFERENCE)


def paired_difference(a: Leakage, b: Leakage, label: str) -> Interval:
    """Return the 95 % interval of the AUC of one attack on `a` less that on `b`, on the same targets and samples.

    Two designs with the same samples have correlated AUCs, so the interval is narrower than the two intervals suggest.
    `paired_auc` has the mean and the standard error too. Raises BadInput unless both audits have the same game and
    targets, and UnknownName for an attack that one of them lacks.
    """
    same = {
        "game": np.array_equal(a.game.keep, b.game.keep) and np.array_equal(a.game.labels, b.game.labels),
        "targets": a.targets == b.targets,
    }
    for what, equal in same.items():
        if not equal:
            raise BadInput("paired difference", f"two audits that differ in {what}", "the same game and targets")
    return paired_auc(a[label], b[label]).ci
