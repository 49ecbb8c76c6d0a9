"""Uncertainty of energy: one run priced by every calibration, and comparisons that hold under all of them.

Published energies differ by factors of 2 to 4, so a difference between two designs is meaningful only where it
does not depend on the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError
from hwsim.machine.cost.estimate import COMPONENTS, estimate
from hwsim.machine.run import Run
from hwsim.machine.technology.technology import LOGIC_PRESETS, SRAM_PRESETS, Technology
from hwsim.registry import build

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ValueRange:
    """A value under the nominal calibration, and the lowest and highest value under any."""

    low: float
    nominal: float
    high: float


@dataclass(frozen=True, eq=False)
class EnergyRange:
    """Mean energy per sample of one run under several calibrations.

    Attributes
    ----------
    technologies : the calibrations, the nominal one first
    energy_pj : float64 [technology, component], components in the order of COMPONENTS
    """

    technologies: tuple[Technology, ...]
    energy_pj: Floats

    @property
    def totals_pj(self) -> Floats:
        """Energy under each calibration, float64 [technology]."""
        total: Floats = self.energy_pj.sum(axis=1)
        return total

    @property
    def total(self) -> ValueRange:
        """Energy of all components, pJ."""
        return _value_range(self.totals_pj)

    def component(self, name: str) -> ValueRange:
        """Return the energy of one of COMPONENTS, pJ."""
        return _value_range(self.energy_pj[:, COMPONENTS.index(name)])

    def relative_to(self, baseline: EnergyRange) -> ValueRange:
        """Return the energy over that of `baseline` under the same calibration; raises HwsimError when these differ."""
        _require_same_calibrations(self, baseline)
        return _value_range(self.totals_pj / baseline.totals_pj)


def calibrations(technology: Technology | None = None) -> tuple[Technology, ...]:
    """Return `technology` (default: nangate45), then its copies with each calibration of logic and of scratchpads.

    Its other fields, such as node, cells and own prices, are kept. At another node than 45 nm the
    calibrations keep the supply of `technology`, since the calibrated supplies belong to 45 nm.

    >>> [made.label for made in calibrations()[:3]]
    ['nangate45', 'nangate45, sram_write as_read', 'nangate45, sram_scale 3.0']
    """
    nominal = technology or build("technology", "nangate45")
    made = [nominal]
    for name, logic in LOGIC_PRESETS.items():
        supply = logic["voltage_v"] if nominal.node_nm == 45 else nominal.voltage_v
        for memory in SRAM_PRESETS.values():
            changes = {"pe_scale": logic["pe_scale"], "voltage_v": supply, **memory}
            if nominal.node_nm == 45:
                changes["preset"] = name
            made.append(nominal.model_copy(update=changes))
    return tuple(dict.fromkeys(made))


def estimate_range(run: Run, technologies: Sequence[Technology] | None = None) -> EnergyRange:
    """Return the energy of `run` under each of `technologies` (the nominal one first; default: `calibrations()`)."""
    chosen = calibrations() if technologies is None else tuple(technologies)
    if not chosen:
        raise BadInput("technologies", "none", "one or more")
    by_component = [estimate(run, technology).energy_pj.sum(axis=1).mean(axis=0) for technology in chosen]
    return EnergyRange(chosen, np.stack(by_component))


def compare(a: EnergyRange, b: EnergyRange) -> Literal["a", "b", "undecided"]:
    """Return which of two takes less energy: "a" or "b" when no calibration contradicts, else "undecided".

    Raises HwsimError when the two have different calibrations.
    """
    _require_same_calibrations(a, b)
    less, more = (a.totals_pj < b.totals_pj).any(), (a.totals_pj > b.totals_pj).any()
    if less == more:
        return "undecided"
    return "a" if less else "b"


@dataclass(frozen=True)
class Rank:
    """Rank of a design by energy among others, 1 for the least energy.

    Attributes
    ----------
    nominal : rank under the nominal calibration
    best, worst : lowest and highest rank under any calibration
    """

    nominal: int
    best: int
    worst: int

    @property
    def decided(self) -> bool:
        """Whether all calibrations agree."""
        return self.best == self.worst


def rank(ranges: Mapping[str, EnergyRange]) -> dict[str, Rank]:
    """Return the rank of each design by energy, ordered by the nominal rank; equal energies share a rank.

    Raises HwsimError when they have different calibrations.
    """
    for energy in ranges.values():
        _require_same_calibrations(energy, next(iter(ranges.values())))
    if not ranges:
        return {}
    totals = np.stack([energy.totals_pj for energy in ranges.values()])
    numbers = 1 + (totals[None, :, :] < totals[:, None, :]).sum(axis=1)  # [design, technology]
    found = [Rank(int(each[0]), int(each.min()), int(each.max())) for each in numbers]
    return dict(sorted(zip(ranges, found, strict=True), key=lambda item: item[1].nominal))


def _require_same_calibrations(a: EnergyRange, b: EnergyRange) -> None:
    if a.technologies != b.technologies:
        ours, theirs = ("; ".join(made.label for made in energy.technologies) for energy in (a, b))
        raise HwsimError(f"energy range: priced by {ours}, but the other by {theirs}")


def _value_range(values: Floats) -> ValueRange:
    return ValueRange(float(values.min()), float(values[0]), float(values.max()))
