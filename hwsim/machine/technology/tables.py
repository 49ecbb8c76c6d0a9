"""The measured numbers: CSV tables of `accel_models/technology`, read once; their README says where each is from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.cache import cached
from hwsim.errors import UnknownName
from hwsim.machine.technology.provenance import built_in

rows = built_in
"""The rows of `accel_models/technology/<name>.csv`, as text by column; a row without a source is refused."""

KIB = 1024
CLOCK_FJ_PER_FLIP_FLOP = 8.66875
"""Clock pin energy of one flip-flop per cycle, Nangate45 at 1.1 V (346.75 fJ for the 40 of the 8x8 PE)."""
PSUM_BIT_UM2 = 10.65
"""Area that one more bit of partial sum adds to a plain PE, by the fit."""


@dataclass(frozen=True)
class PhysicalCost:
    """What one PE is made of: area, leakage (25 C), and the energy of its clock pins per cycle."""

    area_um2: float
    leakage_uw: float
    clock_fj: float


@dataclass(frozen=True)
class MeasuredPE:
    """One measured or fitted PE: its silicon, and what one MAC switches beyond the clock (fJ, 1.1 V)."""

    silicon: PhysicalCost
    switching_fj: float


@cached(1024)
def measured_cell(design: str, w_bits: int, a_bits: int) -> MeasuredPE | None:
    """The measured PE `design` at these operand widths, mean of its rows; None where there is no row.

    The rows are both layers of the digits network; for `xnor16` two densities of random bits.

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
    return MeasuredPE(
        PhysicalCost(area, leakage, CLOCK_FJ_PER_FLIP_FLOP * flip_flops), math.fsum(switching) / len(switching)
    )


def fitted_cell(w_bits: int, a_bits: int) -> MeasuredPE:
    """A plain PE between the measured widths: fits over the measured ones, partial sum of w + a + 8 bits.

    Energy per MAC, clock included: 121 + 13.7 w a + 29.9 (w + a) fJ (digits inputs; at most 13 % off
    a measured row). Area: 7.4 w a + 0.2 (w + a) + 10.65 psum um2 (at most 6.4 % off). Leakage 21 nW
    per um2. Flip-flops: both operands and the partial sum.
    """
    psum = w_bits + a_bits + 8
    area = 7.4 * w_bits * a_bits + 0.2 * (w_bits + a_bits) + PSUM_BIT_UM2 * psum
    clock = CLOCK_FJ_PER_FLIP_FLOP * (w_bits + a_bits + psum)
    total = 121 + 13.7 * w_bits * a_bits + 29.9 * (w_bits + a_bits)
    return MeasuredPE(PhysicalCost(area, LOGIC_LEAKAGE_UW_PER_UM2 * area, clock), total - clock)


LOGIC_LEAKAGE_UW_PER_UM2 = 0.021
"""Library mean of Nangate45 at 25 C."""


def assumed_cost(area_um2: float, flip_flops: int) -> PhysicalCost:
    """The silicon of a PE that was not measured: leakage by the library's density, clock by its flip-flops.

    >>> assumed_cost(100.0, 10)
    Silicon(area_um2=100.0, leakage_uw=2.1, clock_fj=86.6875)
    """
    return PhysicalCost(area_um2, LOGIC_LEAKAGE_UW_PER_UM2 * area_um2, CLOCK_FJ_PER_FLIP_FLOP * flip_flops)


def plain_cell(w_bits: int, a_bits: int) -> MeasuredPE:
    """A plain weight-stationary PE of these widths: the measured row where there is one, else the fit."""
    return measured_cell("ws_mac", w_bits, a_bits) or fitted_cell(w_bits, a_bits)


@cached(64)
def rate_points(pe: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Rates of table-driven PEs: (activation bits, weight bits) -> (lanes, steps); empty where none is entered.

    >>> rate_points("unpu")[16, 1]
    (4, 1)
    """
    found = [row for row in rows("throughput") if row["pe"] == pe]
    return {(int(r["a_bits"]), int(r["w_bits"])): (int(r["lanes"]), int(r["steps"])) for r in found}


@dataclass(frozen=True)
class Operator:
    """A bare operator with uniform operands: energy per operation (fJ, 1.1 V) and area."""

    energy_fj: float
    area_um2: float


@cached(256)
def operator(name: str, bits: int) -> Operator:
    """The measured operator `add`, `mul` or `reg` (one 8-bit register, clock included) of `bits`.

    >>> operator("mul", 8).energy_fj
    1032.5
    """
    for row in rows("operators_nangate45"):
        if (row["op"], int(row["bits"])) == (name, bits):
            return Operator(float(row["E_fJ_uniform_1.1V"]), float(row["area_um2"]))
    raise UnknownName("operator", f"{name} {bits}", [f"{r['op']} {r['bits']}" for r in rows("operators_nangate45")])


@cached(1)
def dram_pj_per_bit() -> dict[str, float]:
    """Energy of moving one bit to or from each kind of DRAM.

    >>> dram_pj_per_bit()["lpddr4"]
    8.0
    """
    return {row["kind"]: float(row["pJ_per_bit"]) for row in rows("dram")}


def dram_source(kind: str) -> str:
    """Where the energy of one kind of DRAM is from.

    >>> dram_source("ddr4")
    'assumed: no figure was found'
    """
    return next(row["source"] for row in rows("dram") if row["kind"] == kind)
