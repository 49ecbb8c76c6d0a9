"""Earlier names of what users write, and their present names, for error messages."""

from __future__ import annotations

from collections.abc import Mapping

RENAMED: Mapping[str, Mapping[str, str]] = {
    "option": {"--causes": "--breakdown", "--reading": "--output-size"},
    "setting": {
        "edge_bits": "first_last_bits",
        "elastic_depth": "row_fifo_depth",
        "local": "register_file",
        "mapping": "optimize",
        "narrow": "narrow_range",
        "traffic": "dram_traffic",
    },
    "name": {"foreign_records": "transfer_records", "pair": "float_and_quantized"},
    "column": {
        "energy_local_pj": "energy_register_file_pj",
        "test_gap": "generalization_gap",
        "flags": "warnings",
        "auc_gain_low": "auc_gain_ci_low",
        "auc_gain_high": "auc_gain_ci_high",
        "auc_low": "auc_ci_low",
        "auc_high": "auc_ci_high",
        "auc_target_low": "auc_ci_targets_low",
        "auc_target_high": "auc_ci_targets_high",
        "tpr_at_fpr_0.01_low": "tpr_at_fpr_0.01_ci_low",
        "tpr_at_fpr_0.01_high": "tpr_at_fpr_0.01_ci_high",
        "tpr_at_fpr_0.01_target_low": "tpr_at_fpr_0.01_ci_targets_low",
        "tpr_at_fpr_0.01_target_high": "tpr_at_fpr_0.01_ci_targets_high",
        "tpr_at_fpr_0.001_low": "tpr_at_fpr_0.001_ci_low",
        "tpr_at_fpr_0.001_high": "tpr_at_fpr_0.001_ci_high",
        "tpr_at_fpr_0.001_target_low": "tpr_at_fpr_0.001_ci_targets_low",
        "tpr_at_fpr_0.001_target_high": "tpr_at_fpr_0.001_ci_targets_high",
        "balanced_accuracy_low": "balanced_accuracy_ci_low",
        "balanced_accuracy_high": "balanced_accuracy_ci_high",
        "balanced_accuracy_target_low": "balanced_accuracy_ci_targets_low",
        "balanced_accuracy_target_high": "balanced_accuracy_ci_targets_high",
    },
    "python": {},
}
"""Kind of name -> earlier name -> present name.

Attributes
----------
option : options of the command line, such as "--causes"
setting : keys of TOML files and fields of designs
name : members of the registry
column : columns of result tables; columns of an attack without its label and underscore
python : attributes of the package `hwsim`
"""


def renamed(kind: str, word: str) -> str | None:
    """Return the present name of an earlier name, None where it never had another one."""
    return RENAMED[kind].get(word)
