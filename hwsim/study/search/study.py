"""Study and Point: a base design, the axes that vary, and the grid of designs that they span."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.design import DEFAULTS, Design, override, read_toml
from hwsim.errors import BadInput, HwsimError, UnknownName, UnknownSetting

RESULT_COLUMNS = (
    "accuracy",
    "generalization_gap",
    "macs",
    "latency_cycles",
    "latency_us",
    "energy_pj",
    "energy_relative",
    "area_mm2",
    "cycles_compute",
    "cycles_fill_drain",
    "cycles_weight_load",
    "cycles_stall_rows",
    "cycles_stall_ifmap_port",
    "cycles_stall_weight_port",
    "cycles_stall_ofmap_port",
    "cycles_stall_dram_bandwidth",
    "cycles_stall_dram_latency",
    "cycles_prefetch",
    "cycles_writeback",
    "cycles_vector",
    "energy_pe_pj",
    "energy_register_file_pj",
    "energy_scratchpad_pj",
    "energy_dram_pj",
    "energy_vector_pj",
    "energy_leakage_pj",
)
"""The columns of a result that do not depend on the attacks, in the order in which they are shown."""

ATTACK_COLUMNS = tuple(
    f"{statistic}{end}"
    for statistic in ("auc", "tpr_at_fpr_0.01", "tpr_at_fpr_0.001", "balanced_accuracy")
    for end in ("", "_ci_low", "_ci_high", "_ci_targets_low", "_ci_targets_high")
)
"""The columns of one attack; each is prefixed with the attack's label and an underscore.

ci_low and ci_high bound the 95 % interval over samples, ci_targets_low and ci_targets_high the one over target models.
"""

MOST_POINTS = 100_000
SECTIONS = ("study", "base", "axes", "objectives")


@dataclass(frozen=True, eq=False)
class Point:
    """One place of the grid: the value of each axis (None where it changes nothing), and the resolved design."""

    axes: Mapping[str, Any]
    design: Design

    @property
    def label(self) -> str:
        """How the point is called in progress, errors and figures."""
        told = (f"{path}={describe(value)}" for path, value in self.axes.items() if value is not None)
        return ", ".join(told) or "the design"


@dataclass(frozen=True, eq=False)
class Study:
    """A question put to a grid of designs.

    `axes` maps a dotted path of the design to the list of its values; `objectives` maps a result
    column to "max" or "min". Made by `Study.from_mapping` or `load_study`, which check both.
    """

    name: str
    question: str
    base: Mapping[str, Any]
    axes: Mapping[str, Sequence[Any]]
    objectives: Mapping[str, str]

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Study:
        """Check a study as read from TOML, down to the last point; raises HwsimError with the dotted path."""
        for section in mapping:
            if section not in SECTIONS:
                raise UnknownName("study file", section, SECTIONS)
        head = _section(mapping, "study")
        for word in head:
            if word not in ("name", "question"):
                raise UnknownSetting(f"study.{word}", ("name", "question"))
        study = cls(
            name=_text(head, "name", "study"),
            question=_text(head, "question", ""),
            base=_section(mapping, "base"),
            axes=_axes(_section(mapping, "axes")),
            objectives=_section(mapping, "objectives") or {"accuracy": "max", "energy_pj": "min"},
        )
        _check_objectives(study.objectives, study.points())
        return study

    @property
    def mapping(self) -> dict[str, Any]:
        """The study as plain data; `from_mapping` takes it back."""
        return {
            "study": {"name": self.name, "question": self.question},
            "base": dict(self.base),
            "axes": {path: list(values) for path, values in self.axes.items()},
            "objectives": dict(self.objectives),
        }

    def points(self) -> list[Point]:
        """The grid, the last axis moving fastest; of points with the same key only the first.

        Full precision runs on no accelerator, so it is one point and not one per accelerator.
        """
        unique: dict[str, Point] = {}
        for values in itertools.product(*self.axes.values()):
            axes = dict(zip(self.axes, values, strict=True))
            try:
                design = Design.resolve(override(self.base, axes))
                shown = {path: None if path.split(".")[0] in design.unused_groups else axes[path] for path in axes}
                unique.setdefault(design.key, Point(shown, design))
            except HwsimError as error:
                place = ", ".join(f"{path}={describe(value)}" for path, value in axes.items())
                raise HwsimError(f"point {place}: {error}" if place else str(error)) from None
        return list(unique.values())


def load_study(path: Path) -> Study:
    """The study that a TOML file describes; every error names the file."""
    mapping = read_toml(path)
    try:
        return Study.from_mapping(mapping)
    except HwsimError as error:
        raise HwsimError(f"{path}: {error}") from None


def attack_labels(points: Iterable[Point]) -> list[str]:
    """The labels of all attacks, in the order in which the points name them."""
    return list(dict.fromkeys(attack.label for point in points for attack in point.design.attacks))


def result_columns(points: Sequence[Point]) -> list[str]:
    """The result columns that the points can have, in the order in which they are shown."""
    return [*RESULT_COLUMNS, *(f"{label}_{column}" for label in attack_labels(points) for column in ATTACK_COLUMNS)]


def describe(value: Any) -> str:
    """A setting in a few words.

    >>> describe({"name": "lsq", "w_bits": 4}), describe(["loss", "lira"]), describe(8)
    ('lsq w_bits=4', 'loss+lira', '8')
    """
    if isinstance(value, Mapping):
        rest = [f"{k}={describe(v)}" for k, v in value.items() if k != "name"]
        return " ".join([str(value["name"]), *rest] if "name" in value else rest)
    if isinstance(value, list | tuple):
        return "+".join(describe(v) for v in value) or "none"
    return str(value)


def _section(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = mapping.get(name, {})
    if not isinstance(section, Mapping):
        raise BadInput(name, section, f"a table: [{name}]")
    return dict(section)


def _text(head: Mapping[str, Any], word: str, default: str) -> str:
    text = head.get(word, default)
    if not isinstance(text, str):
        raise BadInput(f"study.{word}", text, "a text in quotes")
    return text.strip()


def _axes(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    axes = _flat(given)
    for path, values in axes.items():
        group = path.split(".")[0]
        if group not in DEFAULTS:
            raise UnknownName(f"axes.{path}", group, DEFAULTS)
        if not isinstance(values, list) or not values:
            raise BadInput(f"axes.{path}", values, "a list of at least one value")
    if math.prod(len(values) for values in axes.values()) > MOST_POINTS:
        raise BadInput("axes", math.prod(len(v) for v in axes.values()), f"at most {MOST_POINTS} points")
    return axes


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Both `"quantizer.w_bits" = [...]` and `quantizer.w_bits = [...]`, which TOML nests, name one axis."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        out |= _flat(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return out


def _check_objectives(objectives: Mapping[str, str], points: Sequence[Point]) -> None:
    known = result_columns(points)
    for column, sense in objectives.items():
        if column not in known:
            raise UnknownName(f"objectives.{column}", column, known, "column")
        if sense not in ("max", "min"):
            raise BadInput(f"objectives.{column}", sense, '"max" or "min"')
