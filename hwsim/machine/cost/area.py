"""Area and leakage of an accelerator by component, before placement.

Interconnect, control and pads are not modelled, nor is the empty space between cells.
"""

from __future__ import annotations

from hwsim.machine.cost.memory_energy import bank, local_share
from hwsim.machine.description.accelerator import SCRATCHPADS, Accelerator, RegisterFile
from hwsim.machine.technology.tables import LOGIC_LEAKAGE_UW_PER_UM2, operator
from hwsim.machine.technology.technology import Technology
from hwsim.registry import build

LOCAL_WORD_BITS = 16
"""Width of a word in the memories inside PEs: Eyeriss's, assumed for all."""

UM2_PER_MM2 = 1e6
UW_PER_MW = 1e3


def area_um2(accelerator: Accelerator, technology: Technology | None = None) -> dict[str, float]:
    """Area of `pe`, `local`, `scratchpad` and `vector`, um2; at 45 nm when no technology is given.

    `local` are the memories inside the PEs of a row-stationary array, each bit as large as in the
    smallest memory of the table (assumed). `vector` is one requantizer (32-bit multiplier and adder)
    per column and one 32-bit adder per lane. Raises BadInput for a scratchpad outside the table.
    """
    technology = technology or build("technology", "nangate45")
    pads = sum(
        bank(accelerator, technology, pad, "area_mm2") * accelerator.scratchpads[pad].banks for pad in SCRATCHPADS
    )
    return {
        "pe": accelerator.pes * accelerator.pe.physical_cost().area_um2 * technology.logic_area_factor,
        "register_file": local_bits(accelerator) * local_share(technology, "area_mm2") * UM2_PER_MM2,
        "scratchpad": pads * UM2_PER_MM2,
        "vector": _vector_um2(accelerator) * technology.logic_area_factor,
    }


def leakage_uw(accelerator: Accelerator, technology: Technology) -> dict[str, float]:
    """Leakage power of the same components, uW: logic at 25 C and 45 nm (also at other nodes), memories at 350 K."""
    pads = sum(
        bank(accelerator, technology, pad, "leakage_mW") * accelerator.scratchpads[pad].banks for pad in SCRATCHPADS
    )
    return {
        "pe": accelerator.pes * accelerator.pe.physical_cost().leakage_uw,
        "register_file": local_bits(accelerator) * local_share(technology, "leakage_mW") * UW_PER_MW,
        "scratchpad": pads * UW_PER_MW,
        "vector": _vector_um2(accelerator) * LOGIC_LEAKAGE_UW_PER_UM2,
    }


def local_bits(accelerator: Accelerator) -> int:
    """Bits of the memories in all PEs; 0 but for row-stationary arrays."""
    local: RegisterFile | None = accelerator.register_file
    if local is None:
        return 0
    return accelerator.pes * LOCAL_WORD_BITS * (local.ifmap_words + local.weight_words + local.psum_words)


def _vector_um2(accelerator: Accelerator) -> float:
    """At 45 nm."""
    multiplier, adder = operator("mul", 32).area_um2, operator("add", 32).area_um2
    return accelerator.array.cols * (multiplier + adder) + accelerator.vector.lanes * adder
