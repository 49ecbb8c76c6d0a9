"""What one bit costs in each memory of an accelerator, by a technology; and what is uncertain about it."""

from __future__ import annotations

from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.technology import tables
from hwsim.machine.technology.sram import NARROWEST_WORD, SMALLEST_BYTES, SramColumn, inside, sram
from hwsim.machine.technology.tables import KIB
from hwsim.machine.technology.technology import Technology


def bank(accelerator: Accelerator, technology: Technology, pad: str, column: SramColumn) -> float:
    """What the table says of one of the `banks` memories that a scratchpad is made of."""
    one = accelerator.scratchpads[pad]
    where = f"accelerator.scratchpads.{pad}: each of {one.banks} banks"
    return _memory(technology, column, one.kib * KIB / one.banks, one.word_bytes, where)


def pad_pj_per_bit(accelerator: Accelerator, technology: Technology, pad: str, way: str) -> float:
    """Energy of one bit over the `read` or `write` port of a scratchpad: a full word's, shared by its bits."""
    own = technology.price(f"{pad}_{way}")
    if own is not None:
        return own
    column: SramColumn = "write_pJ" if way == "write" and technology.sram_write == "table" else "read_pJ"
    word_bits = accelerator.scratchpads[pad].word_bytes * 8
    return technology.sram_scale * bank(accelerator, technology, pad, column) / word_bits


def local_pj_per_bit(technology: Technology) -> float:
    """Energy of one bit of a memory inside a PE, read or written: as in reading the smallest memory (assumed)."""
    own = technology.price("register_file")
    if own is not None:
        return own
    return technology.sram_scale * _smallest(technology, "read_pJ") / (NARROWEST_WORD * 8)


def local_share(technology: Technology, column: SramColumn) -> float:
    """Area or leakage of one stored bit inside a PE: as in the smallest memory (assumed)."""
    return _smallest(technology, column) / (SMALLEST_BYTES * 8)


def dram_pj_per_bit(accelerator: Accelerator, technology: Technology) -> float:
    """Energy of one bit to or from DRAM, by its kind."""
    own = technology.price("dram")
    return tables.dram_pj_per_bit()[accelerator.dram.kind] if own is None else own


def notes(accelerator: Accelerator, technology: Technology) -> list[str]:
    """What is assumed or extrapolated about the memories, one sentence each."""
    found = []
    for pad in SCRATCHPADS:
        one = accelerator.scratchpads[pad]
        if not inside(one.kib * KIB / one.banks, one.word_bytes):
            found.append(
                f"extrapolated: {pad} scratchpad, banks of {one.kib / one.banks:g} KiB are not in CACTI's table"
            )
    if accelerator.register_file is not None:
        found.append("assumed: memories inside the PEs cost per bit what the smallest scratchpad does")
    source = tables.dram_source(accelerator.dram.kind)
    if source.startswith("assumed") and technology.price("dram") is None:
        found.append(f"{source}: {accelerator.dram.kind}")
    return found


def _smallest(technology: Technology, column: SramColumn) -> float:
    return _memory(technology, column, SMALLEST_BYTES, NARROWEST_WORD, "register_file")


def _memory(technology: Technology, column: SramColumn, size_bytes: float, word_bytes: int, where: str) -> float:
    """One memory at the technology's node; beyond the nodes of the table, scaled from the nearest one."""
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
