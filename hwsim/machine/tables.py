"""The measured numbers: CSV tables of `accel_models/technology`, read once; their README says where each is from."""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from hwsim.errors import BadInput, UnknownName

KIB = 1024
CLOCK_FJ_PER_FLIP_FLOP = 8.66875
"""Clock pin energy of one flip-flop per cycle, Nangate45 at 1.1 V (346.75 fJ for the 40 of the 8x8 PE)."""


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `accel_models/technology/<name>.csv`, as text by column."""
    text = (files("accel_models") / "technology" / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@dataclass(frozen=True)
class Silicon:
    """What one PE is made of: area, leakage (25 C), and the energy of its clock pins per cycle."""

    area_um2: float
    leakage_uw: float
    clock_fj: float


@dataclass(frozen=True)
class Cell:
    """One measured or fitted PE: its silicon, and what one MAC switches beyond the clock (fJ, 1.1 V)."""

    silicon: Silicon
    switching_fj: float


@cache
def measured_cell(design: str, w_bits: int, a_bits: int) -> Cell | None:
    """The measured PE `design` at these operand widths, mean of both digits layers; None where there is no row.

    >>> measured_cell("ws_mac", 8, 8).silicon.clock_fj
    346.75
    """
    found = [
        row
        for row in rows("pe_nangate45")
        if (row["design"], int(row["wbits"]), int(row["abits"])) == (design, w_bits, a_bits)
    ]
    if not found:
        return None
    switching = [float(row["E_total_fJ_per_MAC"]) - float(row["E_clk_fJ"]) for row in found]
    area, leakage, flip_flops = (float(found[0][column]) for column in ("area_um2", "leak_uW", "ff"))
    return Cell(Silicon(area, leakage, CLOCK_FJ_PER_FLIP_FLOP * flip_flops), math.fsum(switching) / len(switching))


def fitted_cell(w_bits: int, a_bits: int) -> Cell:
    """A plain PE between the measured widths: fits over the measured ones, partial sum of w + a + 8 bits.

    Energy per MAC, clock included: 121 + 13.7 w a + 29.9 (w + a) fJ (digits inputs; at most 13 % off
    a measured row). Area: 7.4 w a + 0.2 (w + a) + 10.65 psum um2 (at most 6.4 % off). Leakage 21 nW
    per um2. Flip-flops: both operands and the partial sum.
    """
    psum = w_bits + a_bits + 8
    area = 7.4 * w_bits * a_bits + 0.2 * (w_bits + a_bits) + 10.65 * psum
    clock = CLOCK_FJ_PER_FLIP_FLOP * (w_bits + a_bits + psum)
    total = 121 + 13.7 * w_bits * a_bits + 29.9 * (w_bits + a_bits)
    return Cell(Silicon(area, LOGIC_LEAKAGE_UW_PER_UM2 * area, clock), total - clock)


LOGIC_LEAKAGE_UW_PER_UM2 = 0.021
"""Library mean of Nangate45 at 25 C."""


def plain_cell(w_bits: int, a_bits: int) -> Cell:
    """A plain weight-stationary PE of these widths: the measured row where there is one, else the fit."""
    return measured_cell("ws_mac", w_bits, a_bits) or fitted_cell(w_bits, a_bits)


@dataclass(frozen=True)
class Operator:
    """A bare operator with uniform operands: energy per operation (fJ, 1.1 V) and area."""

    energy_fj: float
    area_um2: float


@cache
def operator(name: str, bits: int) -> Operator:
    """The measured operator `add` or `mul` of `bits`.

    >>> operator("mul", 8).energy_fj
    1032.5
    """
    for row in rows("operators_nangate45"):
        if (row["op"], int(row["bits"])) == (name, bits):
            return Operator(float(row["E_fJ_uniform_1.1V"]), float(row["area_um2"]))
    raise UnknownName("operator", f"{name} {bits}", [f"{r['op']} {r['bits']}" for r in rows("operators_nangate45")])


SramColumn = Literal["read_pJ", "write_pJ", "leakage_mW", "area_mm2"]


@cache
def sram(column: SramColumn, size_bytes: int, word_bytes: int, where: str = "sram") -> float:
    """A scratchpad's energy per access of one word, leakage or area (CACTI 7, 45 nm, low standby power).

    Between two sizes of the table the logarithm is interpolated over the logarithm of the size; a
    size of the table gives its value exactly. Raises BadInput, naming `where`, outside the table.

    >>> sram("read_pJ", 8192, 8)
    3.37664
    """
    series = [row for row in rows("sram_cacti7_45nm") if int(row["word_bytes"]) == word_bytes]
    table = {int(row["size_bytes"]): float(row[column]) for row in series}
    sizes = sorted(table)
    if not sizes[0] <= size_bytes <= sizes[-1]:
        raise BadInput(where, f"{size_bytes / KIB:g} KiB", f"{sizes[0] // KIB} to {sizes[-1] // KIB} KiB")
    if size_bytes in table:
        return table[size_bytes]
    above = bisect_left(sizes, size_bytes)
    low, high = sizes[above - 1], sizes[above]
    share = math.log(size_bytes / low) / math.log(high / low)
    return table[low] * float((table[high] / table[low]) ** share)


@cache
def dram_pj_per_bit() -> dict[str, float]:
    """Energy of moving one bit to or from each kind of DRAM.

    >>> dram_pj_per_bit()["lpddr4"]
    8.0
    """
    return {row["kind"]: float(row["pJ_per_bit"]) for row in rows("dram")}
