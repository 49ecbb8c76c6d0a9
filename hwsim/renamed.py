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
        "flags": "warnings",
        "test_gap": "generalization_gap",
        **{
            f"{statistic}_{end}": f"{statistic}_ci_{end.replace('target', 'targets')}"
            for statistic in ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "balanced_accuracy")
            for end in ("low", "high", "target_low", "target_high")
        },
    },
    "python": {},
}
"""Kind of name -> earlier name -> present name.

Attributes
----------
option : options of the command line, such as "--causes"
setting : keys of TOML files and fields of designs
name : members of the registry
column : columns of result tables, without the label of an attack
python : attributes of the package `hwsim`
"""


def renamed(kind: str, word: str) -> str | None:
    """Return the present name of an earlier name, None where it never had another one."""
    return RENAMED[kind].get(word)
