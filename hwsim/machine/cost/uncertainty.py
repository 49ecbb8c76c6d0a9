"""Bands: one run priced by every preset, and rankings that hold in all of them.

Published energies differ by factors of 2 to 4, so a difference between two designs means
something only where it does not depend on whose numbers are taken.
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
class Interval:
    """A figure by the nominal preset, and the lowest and highest by any."""

    low: float
    nominal: float
    high: float


@dataclass(frozen=True, eq=False)
class EnergyRange:
    """Mean energy per sample of one run by several technologies, the nominal one first.

    energy_pj float64 [technology, component], in the order of COMPONENTS.
    """

    technologies: tuple[Technology, ...]
    energy_pj: Floats

    @property
    def totals_pj(self) -> Floats:
        """Energy by each technology, float64 [technology]."""
        total: Floats = self.energy_pj.sum(axis=1)
        return total

    @property
    def total(self) -> Interval:
        """Energy of all components, pJ."""
        return _interval(self.totals_pj)

    def component(self, name: str) -> Interval:
        """Energy of one of COMPONENTS, pJ."""
        return _interval(self.energy_pj[:, COMPONENTS.index(name)])

    def relative_to(self, baseline: EnergyRange) -> Interval:
        """Energy over that of `baseline`, preset by preset; raises HwsimError when the presets differ."""
        _check_same(self, baseline)
        return _interval(self.totals_pj / baseline.totals_pj)


def calibrations(technology: Technology | None = None) -> tuple[Technology, ...]:
    """`technology` (nangate45 when not given) itself, then with each calibration of logic and of scratchpads.

    What else it sets, such as its node, cells and own prices, stays. At another node than 45 nm the
    calibrations keep the supply of `technology`, since theirs are those of 45 nm.

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
    """Price `run` by each of `technologies` (the nominal one first; `calibrations()` when not given)."""
    chosen = calibrations() if technologies is None else tuple(technologies)
    if not chosen:
        raise BadInput("technologies", "none", "one or more")
    by_component = [estimate(run, technology).energy_pj.sum(axis=1).mean(axis=0) for technology in chosen]
    return EnergyRange(chosen, np.stack(by_component))


def compare(a: EnergyRange, b: EnergyRange) -> Literal["a", "b", "undecided"]:
    """Which of two takes less energy: "a" or "b" when no preset says the opposite, else "undecided".

    Raises HwsimError when the two were priced by different presets.
    """
    _check_same(a, b)
    less, more = (a.totals_pj < b.totals_pj).any(), (a.totals_pj > b.totals_pj).any()
    if less == more:
        return "undecided"
    return "a" if less else "b"


@dataclass(frozen=True)
class Place:
    """Where a design stands among others, 1 for the least energy: by the nominal preset, and the span over all."""

    nominal: int
    best: int
    worst: int

    @property
    def decided(self) -> bool:
        """Whether all presets agree."""
        return self.best == self.worst


def rank(bands: Mapping[str, EnergyRange]) -> dict[str, Place]:
    """The place of each design by energy, in the order of the nominal preset; equal ones share a place.

    Raises HwsimError when they were priced by different presets.
    """
    for band in bands.values():
        _check_same(band, next(iter(bands.values())))
    if not bands:
        return {}
    totals = np.stack([band.totals_pj for band in bands.values()])
    places = 1 + (totals[None, :, :] < totals[:, None, :]).sum(axis=1)
    found = [Place(int(place[0]), int(place.min()), int(place.max())) for place in places]
    return dict(sorted(zip(bands, found, strict=True), key=lambda item: item[1].nominal))


def _check_same(a: EnergyRange, b: EnergyRange) -> None:
    if a.technologies != b.technologies:
        ours, theirs = ("; ".join(made.label for made in band.technologies) for band in (a, b))
        raise HwsimError(f"band: priced by {ours}, but the other by {theirs}")


def _interval(values: Floats) -> Interval:
    return Interval(float(values.min()), float(values[0]), float(values.max()))
