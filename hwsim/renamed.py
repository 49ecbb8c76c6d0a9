"""Former names of options, settings, registry names, columns and public names, for error messages."""

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
    },
    "value": {"odd": "midrise", "traffic": "dram_traffic"},
    "name": {"foreign_records": "transfer_records", "pair": "float_and_quantized"},
    "column": {
        "energy_local_pj": "energy_register_file_pj",
        "test_gap": "generalization_gap",
        "flags": "warnings",
        "auc_gain_low": "auc_gain_ci_low",
        "auc_gain_high": "auc_gain_ci_high",
        "auc_low": "auc_ci_low",
        "auc_high": "auc_ci_high",
        "auc_target_low": "auc_ci_low",
        "auc_ci_targets_low": "auc_ci_low",
        "auc_target_high": "auc_ci_high",
        "auc_ci_targets_high": "auc_ci_high",
        "tpr_at_fpr_0.01_low": "tpr_at_fpr_0.01_ci_low",
        "tpr_at_fpr_0.01_high": "tpr_at_fpr_0.01_ci_high",
        "tpr_at_fpr_0.01_target_low": "tpr_at_fpr_0.01_ci_low",
        "tpr_at_fpr_0.01_ci_targets_low": "tpr_at_fpr_0.01_ci_low",
        "tpr_at_fpr_0.01_target_high": "tpr_at_fpr_0.01_ci_high",
        "tpr_at_fpr_0.01_ci_targets_high": "tpr_at_fpr_0.01_ci_high",
        "tpr_at_fpr_0.001_low": "tpr_at_fpr_0.001_ci_low",
        "tpr_at_fpr_0.001_high": "tpr_at_fpr_0.001_ci_high",
        "tpr_at_fpr_0.001_target_low": "tpr_at_fpr_0.001_ci_low",
        "tpr_at_fpr_0.001_ci_targets_low": "tpr_at_fpr_0.001_ci_low",
        "tpr_at_fpr_0.001_target_high": "tpr_at_fpr_0.001_ci_high",
        "tpr_at_fpr_0.001_ci_targets_high": "tpr_at_fpr_0.001_ci_high",
        "balanced_accuracy_low": "balanced_accuracy_ci_low",
        "balanced_accuracy_high": "balanced_accuracy_ci_high",
        "balanced_accuracy_target_low": "balanced_accuracy_ci_low",
        "balanced_accuracy_ci_targets_low": "balanced_accuracy_ci_low",
        "balanced_accuracy_target_high": "balanced_accuracy_ci_high",
        "balanced_accuracy_ci_targets_high": "balanced_accuracy_ci_high",
    },
    "python": {"bounds": "accumulator_bounds"},
}
"""Kind of name -> former name -> present name.

Attributes
----------
option : options of the command line, such as "--causes"
setting : keys of TOML files and fields of designs
value : words that a setting can have
name : members of the registry
column : columns of result tables; a column of an attack without the attack's label
python : attributes of the package `hwsim`
"""


def renamed(kind: str, word: str) -> str | None:
    """Return the present name of a former name, None for any other word.

    A column can have the label of an attack, former or present, and an underscore before its name.

    >>> renamed("setting", "edge_bits"), renamed("setting", "w_bits")
    ('first_last_bits', None)
    >>> renamed("column", "energy_local_pj"), renamed("column", "lira_auc_low"), renamed("column", "pair_auc")
    ('energy_register_file_pj', 'lira_auc_ci_low', 'float_and_quantized_auc')
    """
    names = RENAMED[kind]
    if kind != "column" or word in names:
        return names.get(word)
    label = next((former for former in RENAMED["name"] if word.startswith(f"{former}_")), "")
    ending = next((former for former in names if word.endswith(f"_{former}")), "")
    if not label and not ending:
        return None
    present = RENAMED["name"][label] + word.removeprefix(label) if label else word
    return present.removesuffix(ending) + names[ending] if ending else present
