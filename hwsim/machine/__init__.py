"""The machine: accelerators and PEs, and the verbs `simulate`, `count` and `estimate`."""

from hwsim.machine.accelerator import Accelerator, load_accelerator
from hwsim.machine.area import area_um2
from hwsim.machine.bands import Band, compare, estimate_band, presets, rank
from hwsim.machine.estimate import COMPONENTS, Cost, estimate
from hwsim.machine.iso_area import size_to_area
from hwsim.machine.pe import PE
from hwsim.machine.run import CAUSES, EVENTS, Run
from hwsim.machine.simulate import count, simulate
from hwsim.machine.technology import Technology

__all__ = [
    "CAUSES",
    "COMPONENTS",
    "EVENTS",
    "PE",
    "Accelerator",
    "Band",
    "Cost",
    "Run",
    "Technology",
    "area_um2",
    "compare",
    "count",
    "estimate",
    "estimate_band",
    "load_accelerator",
    "presets",
    "rank",
    "simulate",
    "size_to_area",
]
