"""Accelerators, their runs and costs: `simulate`, `count`, `estimate`, area, and energy ranges."""

from hwsim.machine.cost.area import area_um2
from hwsim.machine.cost.estimate import COMPONENTS, Cost, estimate
from hwsim.machine.cost.iso_area import size_to_area
from hwsim.machine.cost.uncertainty import EnergyRange, calibrations, compare, estimate_range, rank
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.description.toml_file import load_accelerator
from hwsim.machine.events import CAUSES, EVENTS
from hwsim.machine.pe.base import PE
from hwsim.machine.run import Run
from hwsim.machine.simulate import count, simulate
from hwsim.machine.technology.technology import Technology

__all__ = [
    "CAUSES",
    "COMPONENTS",
    "EVENTS",
    "PE",
    "Accelerator",
    "Cost",
    "EnergyRange",
    "Run",
    "Technology",
    "area_um2",
    "calibrations",
    "compare",
    "count",
    "estimate",
    "estimate_range",
    "load_accelerator",
    "rank",
    "simulate",
    "size_to_area",
]
