"""Energy per bit of each memory of an accelerator, and the area and leakage of its memories, by technology."""

from __future__ import annotations

from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology import tables
from hwsim.machine.technology.sram import MIN_BYTES, MIN_WORD_BYTES, SramColumn, in_table, sram
from hwsim.machine.technology.tables import KIB
from hwsim.machine.technology.technology import Technology

REGISTER_FILE_NOTE = "assumed: a bit of a memory inside a PE costs as much as a bit of the smallest memory in the table"


def bank_value(accelerator: Accelerator, technology: Technology, scratchpad: str, column: SramColumn) -> float:
    """Return one column of the memory table for one bank of a scratchpad, scaled to the technology."""
    memory = accelerator.scratchpads[scratchpad]
    where = f"accelerator.scratchpads.{scratchpad}: each of {memory.banks} banks"
    return _scaled_sram(technology, column, memory.kib * KIB / memory.banks, memory.word_bytes, where)


def scratchpad_pj_per_bit(accelerator: Accelerator, technology: Technology, scratchpad: str, port: str) -> float:
    """Return the energy of one bit over the `read` or `write` port of a scratchpad: a word's energy over its bits."""
    own = technology.price(f"{scratchpad}_{port}")
    if own is not None:
        return own
    column: SramColumn = "write_pJ" if port == "write" and technology.sram_write == "table" else "read_pJ"
    word_bits = accelerator.scratchpads[scratchpad].word_bytes * 8
    return technology.sram_scale * bank_value(accelerator, technology, scratchpad, column) / word_bits


def register_file_pj_per_bit(technology: Technology) -> float:
    """Return the energy of one bit read from or written to a memory inside a PE.

    Design choice: the energy of reading one bit of the smallest memory of the table.
    """
    own = technology.price("register_file")
    if own is not None:
        return own
    return technology.sram_scale * _min_sram(technology, "read_pJ") / (MIN_WORD_BYTES * 8)


def register_file_per_bit(technology: Technology, column: SramColumn) -> float:
    """Return area or leakage of one bit stored inside a PE.

    Design choice: the value of one bit of the smallest memory of the table.
    """
    return _min_sram(technology, column) / (MIN_BYTES * 8)


def dram_pj_per_bit(accelerator: Accelerator, technology: Technology) -> float:
    """Return the energy of one bit to or from DRAM, by its kind."""
    own = technology.price("dram")
    return tables.dram_pj_per_bit()[accelerator.dram.kind] if own is None else own


def memory_notes(accelerator: Accelerator, technology: Technology) -> list[str]:
    """Return one sentence for each number of the memories that is assumed or extrapolated."""
    found = []
    for name in SCRATCHPADS:
        memory = accelerator.scratchpads[name]
        if not in_table(memory.kib * KIB / memory.banks, memory.word_bytes):
            size = f"banks of {memory.kib / memory.banks:g} KiB are not in CACTI's table"
            found.append(f"extrapolated: {name} scratchpad, {size}")
    if accelerator.register_file is not None:
        found.append(REGISTER_FILE_NOTE)
    source = tables.dram_source(accelerator.dram.kind)
    if source.startswith("assumed") and technology.price("dram") is None:
        found.append(f"{source}: {accelerator.dram.kind}")
    return found


def _min_sram(technology: Technology, column: SramColumn) -> float:
    """Return one column for the smallest memory of the table, scaled to the technology."""
    return _scaled_sram(technology, column, MIN_BYTES, MIN_WORD_BYTES, "register_file")


def _scaled_sram(technology: Technology, column: SramColumn, size_bytes: float, word_bytes: int, where: str) -> float:
    """Return one column for a memory at the technology's node, scaled from the nearest node of the table."""
    value = sram(
        column,
        size_bytes,
        word_bytes,
        where,
        node_nm=technology.sram_node_nm,
        cell=technology.sram_cell,
        extrapolate=technology.extrapolate,
    )
    if column == "leakage_mW":
        return value
    return value * (technology.sram_area_factor if column == "area_mm2" else technology.sram_energy_factor)
