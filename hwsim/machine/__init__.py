"""The machine: accelerators and PEs, and the verbs `simulate`, `count` and `estimate`."""

from hwsim.machine.accelerator import Accelerator, load_accelerator
from hwsim.machine.estimate import COMPONENTS, Cost, estimate
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
    "Cost",
    "Run",
    "Technology",
    "count",
    "estimate",
    "load_accelerator",
    "simulate",
]
