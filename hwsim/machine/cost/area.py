"""Area and leakage of an accelerator by component, before placement.

Not modeled: interconnect, control, pads, and the empty space between cells.
"""

from __future__ import annotations

from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.memory_energy import bank_value, register_file_per_bit
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology.sram import SramColumn
from hwsim.machine.technology.tables import LOGIC_LEAKAGE_UW_PER_UM2, operator
from hwsim.machine.technology.technology import Technology
from hwsim.registry import build

REGISTER_FILE_WORD_BITS = 16
"""Width of a word in the memories inside PEs. Design choice: the width of Eyeriss for all accelerators."""

UM2_PER_MM2 = 1e6
UW_PER_MW = 1e3


def area_um2(accelerator: Accelerator, technology: Technology | None = None) -> dict[str, float]:
    """Return the area of `pe`, `register_file`, `scratchpad` and `vector`, um2; at 45 nm without a technology.

    `register_file` are the memories inside the PEs of a row-stationary array, each bit with the area of a bit of
    the smallest memory of the table (assumed). `vector` is one requantizer (32-bit multiplier and adder)
    per column and one 32-bit adder per lane. Raises BadInput for a scratchpad outside the table.
    """
    technology = technology or build("technology", "nangate45")
    per_bit = register_file_per_bit(technology, "area_mm2")
    return {
        "pe": accelerator.pes * accelerator.pe.physical_cost().area_um2 * technology.logic_area_factor,
        "register_file": register_file_bits(accelerator) * per_bit * UM2_PER_MM2,
        "scratchpad": _sum_of_banks(accelerator, technology, "area_mm2") * UM2_PER_MM2,
        "vector": _vector_um2(accelerator) * technology.logic_area_factor,
    }


def leakage_uw(accelerator: Accelerator, technology: Technology) -> dict[str, float]:
    """Return the leakage power of the same components, uW.

    Logic and memories leak as at `technology.celsius`; logic as at 45 nm, also at other nodes.
    """
    per_bit = register_file_per_bit(technology, "leakage_mW")
    logic, memory = technology.logic_leakage_factor, technology.sram_leakage_factor * UW_PER_MW
    return {
        "pe": accelerator.pes * accelerator.pe.physical_cost().leakage_uw * logic,
        "register_file": register_file_bits(accelerator) * per_bit * memory,
        "scratchpad": _sum_of_banks(accelerator, technology, "leakage_mW") * memory,
        "vector": _vector_um2(accelerator) * LOGIC_LEAKAGE_UW_PER_UM2 * logic,
    }


def register_file_bits(accelerator: Accelerator) -> int:
    """Return the bits of the memories in all PEs; 0 except for row-stationary arrays."""
    memory = accelerator.register_file
    if memory is None:
        return 0
    return accelerator.pes * REGISTER_FILE_WORD_BITS * (memory.ifmap_words + memory.weight_words + memory.psum_words)


def _sum_of_banks(accelerator: Accelerator, technology: Technology, column: SramColumn) -> float:
    """Return the sum of one column of the memory table over all banks of all scratchpads."""
    return sum(
        bank_value(accelerator, technology, name, column) * accelerator.scratchpads[name].banks for name in SCRATCHPADS
    )


def _vector_um2(accelerator: Accelerator) -> float:
    """Return the area of requantizers and vector lanes at 45 nm, um2."""
    multiplier, adder = operator("mul", 32).area_um2, operator("add", 32).area_um2
    return accelerator.array.cols * (multiplier + adder) + accelerator.vector.lanes * adder
