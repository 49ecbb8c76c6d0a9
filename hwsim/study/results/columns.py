"""Columns of result tables: the name, unit, meaning and preferred direction of each.

Everything that names a result column reads these records: the header of a table, the check of objectives, the help
of `hwsim table`, figures, pages and docs/columns.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Direction = Literal["max", "min", "none"]
Group = Literal["result", "cycles", "energy", "attack", "audit", "point"]


@dataclass(frozen=True)
class Column:
    """One column of a result table.

    Attributes
    ----------
    name : heading of the column; the columns of an attack are named LABEL_name, LABEL being the attack's label
    unit : unit of the value; empty for a text
    meaning : description in one sentence
    group : "result" (accuracy and totals), "cycles" (by cause), "energy" (by component), "attack" (once per attack),
        "audit" (once per audit) or "point" (state of the point)
    direction : "max" or "min" where larger or smaller values are better for the owner of the network, else "none"
    part : cause of cycles or component of energy that the column contains; empty in other groups
    """

    name: str
    unit: str
    meaning: str
    group: Group
    direction: Direction = "none"
    part: str = ""


STATUS = Column("status", "", "done, infeasible (the accelerator cannot run the network) or pending", "point")

_INTERVALS = {
    "_ci_low": "lower end of the 95 % interval of the {}, for other samples and models",
    "_ci_high": "upper end of the 95 % interval of the {}, for other samples and models",
    "_se": "standard error of the {}",
    "_se_models": "part of the standard error of the {} that is due to the models",
}

INTERVAL_ENDINGS = tuple(_INTERVALS)
"""Endings of the columns that belong to a mean over models."""


def _with_interval(name: str, unit: str, short: str, meaning: str, group: Group, direction: Direction) -> list[Column]:
    """Return the columns of a mean over models: the mean, its interval and its standard error."""
    ends = [
        Column(f"{name}{end}", unit, text.format(short), group, direction if "_ci_" in end else "none")
        for end, text in _INTERVALS.items()
    ]
    return [Column(name, unit, meaning, group, direction), *ends]


TOTALS = (
    *_with_interval(
        "accuracy", "share", "accuracy", "accuracy on the non-members of each model, mean over the models",
        "result", "max",
    ),
    *_with_interval(
        "generalization_gap", "share", "generalization gap",
        "accuracy on members less accuracy on non-members, on the training labels", "result", "min",
    ),
    Column("macs", "MACs", "multiply-accumulate operations of one inference", "result"),
    Column("latency_cycles", "cycles", "cycles of one inference, mean over models and samples", "result", "min"),
    Column("latency_us", "microseconds", "time of one inference at the clock of the accelerator", "result", "min"),
    Column("energy_pj", "pJ", "energy of one inference, mean over models and samples", "result", "min"),
    Column(
        "energy_relative", "ratio", "energy over that of the 8-bit network on tpu_like in the same technology",
        "result", "min",
    ),
    Column("area_mm2", "mm2", "area of PEs, scratchpads and vector unit", "result", "min"),
)  # fmt: skip
"""Accuracy and totals of a design."""

CYCLES = tuple(
    Column(f"cycles_{cause}", "cycles", meaning, "cycles", "min", cause)
    for cause, meaning in {
        "compute": "the busiest row of PEs works on streaming operands",
        "fill_drain": "operands enter the array skewed and results leave it",
        "weight_load": "the stationary operand is loaded into the PEs",
        "stall_rows": "rows of PEs wait for slower rows",
        "stall_ifmap_port": "the array waits for the port of the ifmap scratchpad",
        "stall_weight_port": "the array waits for the port of the weight scratchpad",
        "stall_ofmap_port": "the array waits for the port of the ofmap scratchpad",
        "stall_dram_bandwidth": "the array waits for the next tile, limited by the bandwidth of DRAM",
        "stall_dram_latency": "the array waits for the next tile, limited by the latency of DRAM",
        "prefetch": "the first tile of a layer is read from DRAM",
        "writeback": "the last outputs of a layer are written to DRAM",
        "vector": "the vector unit works",
    }.items()
)
"""Cycles of one inference by cause, mean over models and samples; the columns add up to latency_cycles."""

ENERGY = tuple(
    Column(f"energy_{component}_pj", "pJ", meaning, "energy", "min", component)
    for component, meaning in {
        "pe": "energy of the PEs",
        "register_file": "energy of the register files in the PEs (row stationary)",
        "scratchpad": "energy of the three scratchpads",
        "dram": "energy of DRAM accesses",
        "vector": "energy of the vector unit: pooling, requantization, region prediction",
        "leakage": "energy of leakage currents",
    }.items()
)
"""Energy of one inference by component, mean over models and samples; the columns add up to energy_pj."""

RESULT = (*TOTALS, *CYCLES, *ENERGY)
"""Columns that do not depend on the attacks, in the order of a table."""

ATTACK = tuple(
    column
    for name, unit, short, meaning in (
        ("auc", "probability", "AUC", "area under the ROC curve, mean over the targets; 0.5 is guessing"),
        ("tpr_at_fpr_0.01", "share", "TPR at FPR 0.01", "share of members found at a false-positive rate of 0.01"),
        ("tpr_at_fpr_0.001", "share", "TPR at FPR 0.001", "share of members found at a false-positive rate of 0.001"),
        ("balanced_accuracy", "share", "balanced accuracy", "largest mean of TPR and TNR, threshold set in hindsight"),
    )
    for column in _with_interval(name, unit, short, meaning, "attack", "min")
)
"""Columns of the statistics of one attack, without the attack's label."""

SIGNIFICANCE = (
    Column("auc_p", "probability", "two-sided p-value of an AUC of one half", "attack"),
    Column("auc_p_holm", "probability", "the same, corrected for the number of attacks (Holm)", "attack"),
    Column("needed_models", "models", "models, with needed_samples, that would resolve 0.01 of AUC", "attack"),
    Column("needed_samples", "samples", "samples, with needed_models, that would resolve 0.01 of AUC", "attack"),
)
"""Further columns of every attack, without the attack's label; a power of 80 % at the 5 % level."""

GAIN = tuple(
    _with_interval(
        "auc_gain",
        "probability",
        "AUC less lira's",
        "AUC less lira's on the same targets and samples",
        "attack",
        "none",
    )
)
"""Further columns of an attack that joins a side channel to the outputs, without the attack's label."""

CHOICES = (
    Column("temperature", "ratio", "divisor of the logits that rmia or base chose on the shadows, median", "attack"),
    *(
        Column(f"weight_{channel}", "ratio", f"weight of {channel} that joint learned on the shadows, median", "attack")
        for channel in ("logits", "latency_cycles", "energy_pj", "sensitive_regions")
    ),
)
"""Numbers that an attack chose on the shadow models, medians over the targets, without the attack's label."""

AUDIT = (
    Column("n_members", "samples", "members of a target, smallest over the targets", "audit"),
    Column("n_nonmembers", "samples", "non-members of a target, smallest over the targets", "audit"),
    Column("n_targets", "models", "models that were attacked", "audit"),
)
"""Counts on which the results of an audit are based."""

NOTES = (
    Column("data_note", "", "origin of the data, and number of calibration samples", "point"),
    Column(
        "warnings", "", "statistics that the samples do not support; shifts between members and non-members", "point"
    ),
    Column("reason", "", "cause of the status infeasible", "point"),
    Column("key", "", "SHA-256 of every setting, the data, the code of the choices and the model version", "point"),
)
"""Last columns of a table."""

AUDIT_TABLE = (
    Column("attack", "", "label of the attack", "audit"),
    Column("n_samples", "samples", "audited samples", "audit"),
    *(
        column
        for rate in ("0.01", "0.001")
        for column in _with_interval(
            f"tnr_at_fnr_{rate}",
            "share",
            f"TNR at FNR {rate}",
            f"true-negative rate at a false-negative rate of {rate}",
            "audit",
            "none",
        )
    ),
    Column("advantage", "share", "largest TPR less FPR, threshold set in hindsight (Yeom et al. 2018)", "audit"),
    *_with_interval(
        "accuracy", "share", "accuracy", "accuracy of the attack at its best balanced accuracy", "audit", "none"
    ),
    *(
        column
        for end, of in (("", ", members being positive,"), ("_nonmembers", ", non-members being positive,"))
        for name, title in (("precision", "precision"), ("recall", "recall"), ("f1", "F1 score"))
        for column in _with_interval(
            f"{name}{end}", "share", title, f"{title}{of} at the best balanced accuracy of the attack", "audit", "none"
        )
    ),
    Column("choices", "", "numbers that the attack chose on the shadow models, one per target", "audit"),
    Column("auc_p_permutation", "probability", "p-value of the AUC among memberships drawn anew", "audit"),
    Column("auc_p_permutation_holm", "probability", "the same, corrected for the number of attacks (Holm)", "audit"),
    Column("null_auc_sd", "probability", "standard deviation of the AUC over memberships drawn anew", "audit"),
    Column("epsilon_low", "nats", "lower bound on epsilon of differential privacy, with --epsilon", "audit"),
    Column("blind_auc", "probability", "AUC of the blind baseline, a classifier that sees no model", "audit"),
)
"""Columns that only the table of `hwsim audit` has; its other columns are a part of ATTACK, and warnings."""

COLUMNS = (STATUS, *RESULT, *ATTACK, *SIGNIFICANCE, *GAIN, *CHOICES, *AUDIT, *NOTES)
"""Every column of the table of a study except its axes, which come first."""


def attack_column(label: str, column: Column) -> Column:
    """Return the column of the attack with this label.

    >>> attack_column("lira", ATTACK[0]).name
    'lira_auc'
    """
    return replace(column, name=f"{label}_{column.name}")


def objective_columns(labels: Sequence[str]) -> list[Column]:
    """Return the columns that can be objectives of a study, for attacks with these labels, in the order of a table."""
    return [*RESULT, *(attack_column(label, column) for label in labels for column in ATTACK)]


def find_column(name: str, labels: Sequence[str]) -> Column | None:
    """Return the column with this name in a table of attacks with these labels, None for a name that is no column.

    >>> find_column("lira_auc_ci_low", ["lira"]).meaning
    'lower end of the 95 % interval of the AUC, for other samples and models'
    """
    known = {column.name: column for column in COLUMNS if column.group != "attack"}
    of_attacks = (*ATTACK, *SIGNIFICANCE, *GAIN, *CHOICES)
    known |= {f"{label}_{column.name}": attack_column(label, column) for label in labels for column in of_attacks}
    return known.get(name)
