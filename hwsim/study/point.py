"""One point of a study: a resolved design, and the values of the axes that led to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.design import Design, unresolved_key


@dataclass(frozen=True, eq=False)
class Point:
    """One point of the grid of a study.

    Attributes
    ----------
    axes : value of each axis by its dotted path; None where the axis has no effect on the design
    design : the resolved design; None where the values make no valid design
    mapping : the unresolved design
    reason : the error of an invalid design, else empty
    """

    axes: Mapping[str, Any]
    design: Design | None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""

    @property
    def settings_key(self) -> str:
        """Key of the settings alone, which reads no file."""
        return unresolved_key(self.mapping) if self.design is None else self.design.settings_key

    @property
    def key(self) -> str:
        """Key of everything that affects the result."""
        return unresolved_key(self.mapping) if self.design is None else self.design.key

    @property
    def label(self) -> str:
        """Name of the point in progress lines, errors and figures."""
        parts = [f"{path}={describe(value)}" for path, value in self.axes.items() if value is not None]
        return ", ".join(parts) or "the design"


def attack_labels(points: Iterable[Point]) -> list[str]:
    """Return the labels of all attacks of the points, each once, in the order of the points."""
    return list(dict.fromkeys(attack.label for design in designs(points) for attack in design.attacks))


def designs(points: Iterable[Point]) -> list[Design]:
    """Return the designs of the points that have a valid one."""
    return [point.design for point in points if point.design is not None]


def describe(value: Any) -> str:
    """Return a short text for the value of a setting.

    >>> describe({"name": "lsq", "w_bits": 4}), describe(["loss", "lira"]), describe(8)
    ('lsq w_bits=4', 'loss+lira', '8')
    """
    if isinstance(value, Mapping):
        parameters = [f"{k}={describe(v)}" for k, v in value.items() if k != "name"]
        return " ".join([str(value["name"]), *parameters] if "name" in value else parameters)
    if isinstance(value, list | tuple):
        return "+".join(describe(v) for v in value) or "none"
    return str(value)
