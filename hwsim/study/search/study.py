"""Study: a base design, the axes that vary, and the grid of points that they span."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.design import DEFAULTS, Design, override
from hwsim.errors import BadInput, HwsimError, UnknownName, UnknownSetting
from hwsim.named_files import ACCELERATOR, check_own, read_choice, read_choices
from hwsim.study.point import Point, attack_labels, describe
from hwsim.study.results.columns import objective_columns
from hwsim.toml import read_toml

MAX_POINTS = 100_000
SECTIONS = ("study", "base", "axes", "objectives", "accelerators")


@dataclass(frozen=True, eq=False)
class Study:
    """A question and the grid of designs that answers it.

    Made by `Study.from_mapping` or `load_study`, which check every field.

    Attributes
    ----------
    name : title of the study
    question : the question, for the report
    base : settings that all designs share
    axes : values of each axis by its dotted path in the design
    objectives : "max" or "min" by result column
    accelerators : settings of own accelerators, by the name that base and axes use
    """

    name: str
    question: str
    base: Mapping[str, Any]
    axes: Mapping[str, Sequence[Any]]
    objectives: Mapping[str, str]
    accelerators: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], folder: Path | None = None) -> Study:
        """Check a study as read from TOML, down to the last point; raises HwsimError with the dotted path.

        An accelerator that is the path of a TOML file, relative to `folder` (default: the present one), is read once,
        and becomes one of `accelerators`. A file that cannot be read refuses the study.
        """
        for section in mapping:
            if section not in SECTIONS:
                raise UnknownName("study file", section, SECTIONS)
        head = _section(mapping, "study")
        for key in head:
            if key not in ("name", "question"):
                raise UnknownSetting(f"study.{key}", ("name", "question"))
        own = check_own(mapping.get("accelerators", {}))
        folder = folder or Path()
        base = read_choices(_section(mapping, "base"), folder, own)
        axes = _axes(_section(mapping, "axes"))
        for path in ACCELERATOR:
            if path in axes:
                axes[path] = [read_choice(value, folder, own) for value in axes[path]]
        if "technology.prices" in axes:  # stay paths, which are short names of their points
            prices = axes["technology.prices"]
            axes["technology.prices"] = [str(folder / one) if isinstance(one, str) else one for one in prices]
        study = cls(
            name=_text(head, "name", "study"),
            question=_text(head, "question", ""),
            base=base,
            axes=axes,
            objectives=_section(mapping, "objectives") or {"accuracy": "max", "energy_pj": "min"},
            accelerators=own,
        )
        _check_objectives(study.objectives, attack_labels(study.points()))
        return study

    @property
    def mapping(self) -> dict[str, Any]:
        """The study as plain data, in the form that `from_mapping` reads."""
        return {
            "study": {"name": self.name, "question": self.question},
            "base": dict(self.base),
            "axes": {path: list(values) for path, values in self.axes.items()},
            "objectives": dict(self.objectives),
            **({"accelerators": dict(self.accelerators)} if self.accelerators else {}),
        }

    def points(self) -> list[Point]:
        """Return the points of the grid, the last axis varying fastest, each design once.

        Full precision runs on no accelerator, so it is one point rather than one per accelerator. Values that make no
        valid design are a point without a design and with the reason. Raises HwsimError where no point has a design.
        """
        unique: dict[str, Point] = {}
        for values in itertools.product(*self.axes.values()):
            point = self._point(dict(zip(self.axes, values, strict=True)))
            unique.setdefault(point.settings_key, point)
        points = list(unique.values())
        if all(point.design is None for point in points):
            raise HwsimError(f"point {points[0].label}: {points[0].reason}" if self.axes else points[0].reason)
        return points

    def _point(self, axes: Mapping[str, Any]) -> Point:
        mapping: Mapping[str, Any] = {**self.base, **axes}
        try:
            mapping = override(self.base, axes)
            design = Design.resolve(mapping, self.accelerators)
        except HwsimError as error:
            return Point(axes, None, {**mapping, "accelerators": self.accelerators}, str(error))
        effective = {path: None if path.split(".")[0] in design.unused_groups else axes[path] for path in axes}
        return Point(effective, design, mapping)


def load_study(path: Path) -> Study:
    """Read a study from a TOML file; every error names the file."""
    mapping = read_toml(path)
    try:
        return Study.from_mapping(mapping, path.parent)
    except HwsimError as error:
        raise HwsimError(f"{path}: {error}") from None


def _section(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = mapping.get(name, {})
    if not isinstance(section, Mapping):
        raise BadInput(name, section, f"a table: [{name}]")
    return dict(section)


def _text(head: Mapping[str, Any], key: str, default: str) -> str:
    text = head.get(key, default)
    if not isinstance(text, str):
        raise BadInput(f"study.{key}", text, "a text in quotes")
    return text.strip()


def _axes(given: Mapping[str, Any]) -> dict[str, list[Any]]:
    axes = _flatten(given)
    _check_each_setting_once(axes)
    for path, values in axes.items():
        group = path.split(".")[0]
        if group not in DEFAULTS:
            raise UnknownName(f"axes.{path}", group, DEFAULTS)
        if not isinstance(values, list) or not values:
            raise BadInput(f"axes.{path}", values, "a list of at least one value")
    points = math.prod(len(values) for values in axes.values())
    if points > MAX_POINTS:
        raise BadInput("axes", points, f"at most {MAX_POINTS} points")
    return axes


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a nested table by dotted path.

    TOML nests `quantizer.w_bits = [...]` and does not nest `"quantizer.w_bits" = [...]`; both give one axis.
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        for inner, values in (_flatten(value, f"{path}.") if isinstance(value, Mapping) else {path: value}).items():
            if inner in flat:
                raise BadInput(f"axes.{inner}", "two axes of this name", "each setting in one axis")
            flat[inner] = values
    return flat


def _check_each_setting_once(axes: Mapping[str, Any]) -> None:
    """Raise BadInput for an axis that sets what a value of another axis sets, such as `quantizer.w_bits`."""
    for path in axes:
        parts = path.split(".")
        for end in range(1, len(parts)):
            outer, inner = ".".join(parts[:end]), parts[end:]
            values = axes.get(outer, ())
            for value in values if isinstance(values, list) else ():
                if _sets(value, inner):
                    text = f"also a part of {outer} = {describe(value)}"
                    raise BadInput(f"axes.{path}", text, "each setting in one axis")


def _sets(value: Any, path: Sequence[str]) -> bool:
    """Return whether a value of a group sets the setting at `path` inside of it; a name sets `name`."""
    if isinstance(value, str):
        return list(path) == ["name"]
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _check_objectives(objectives: Mapping[str, str], labels: Sequence[str]) -> None:
    known = [column.name for column in objective_columns(labels)]
    for column, direction in objectives.items():
        if column not in known:
            raise UnknownName(f"objectives.{column}", column, known, "column")
        if direction not in ("max", "min"):
            raise BadInput(f"objectives.{column}", direction, '"max" or "min"')
