"""Measured PEs, operators and DRAM: the CSV tables of `accel_models/technology` (see its README), and fits to them.

The energy of a PE comes from one of three functions: `measured_pe` (a row of the table), `plain_pe` (a row where
there is one, else the fit) or `fitted_pe` (the fit). `assumed_cost` gives leakage and clock energy of a PE of which
only the area is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.cache import cached
from hwsim.errors import UnknownName
from hwsim.machine.technology.provenance import built_in_table

KIB = 1024
PSUM_HEADROOM_BITS = 8
"""Bits of a plain PE's partial sum beyond those of one product."""
CLOCK_FJ_PER_FLIP_FLOP = 8.66875
"""Clock pin energy of one flip-flop per cycle, Nangate45 at 1.1 V (346.75 fJ for the 40 of the 8x8 PE)."""
PSUM_BIT_UM2 = 10.65
"""Area that one more bit of partial sum adds to a plain PE, by the fit."""


@dataclass(frozen=True)
class PhysicalCost:
    """Physical cost of one PE.

    Attributes
    ----------
    area_um2 : area before placement
    leakage_uw : leakage power at 25 C
    clock_fj : energy of the clock pins per cycle
    """

    area_um2: float
    leakage_uw: float
    clock_fj: float


@dataclass(frozen=True)
class MeasuredPE:
    """One measured or fitted PE.

    Attributes
    ----------
    physical : area, leakage and clock energy
    switching_fj : energy of one MAC, clock excluded (1.1 V)
    """

    physical: PhysicalCost
    switching_fj: float


@cached(1024)
def measured_pe(design: str, w_bits: int, a_bits: int) -> MeasuredPE | None:
    """Return the measured PE `design` at these operand widths, mean of its rows; None where there is no row.

    The rows are both layers of the digits network; for `xnor16` two densities of random bits.

    >>> measured_pe("ws_mac", 8, 8).physical.clock_fj
    346.75
    """
    found = [
        row
        for row in built_in_table("pe_nangate45")
        if (row["design"], int(row["wbits"]), int(row["abits"])) == (design, w_bits, a_bits)
    ]
    if not found:
        return None
    switching = [float(row["E_total_fJ_per_MAC"]) - float(row["E_clk_fJ"]) for row in found]
    area, leakage, flip_flops = (float(found[0][column]) for column in ("area_um2", "leak_uW", "ff"))
    return MeasuredPE(
        PhysicalCost(area, leakage, CLOCK_FJ_PER_FLIP_FLOP * flip_flops), math.fsum(switching) / len(switching)
    )


def plain_psum_bits(w_bits: int, a_bits: int) -> int:
    """Return the partial-sum width of a plain PE: 8 bits more than a product.

    >>> plain_psum_bits(8, 8)
    24
    """
    return w_bits + a_bits + PSUM_HEADROOM_BITS


def fitted_pe(w_bits: int, a_bits: int) -> MeasuredPE:
    """Return a plain PE between the measured widths: fits over the measured PEs, partial sum of w + a + 8 bits.

    Energy per MAC, clock included: 121 + 13.7 w a + 29.9 (w + a) fJ (digits inputs; at most 13 % off
    a measured row). Area: 7.4 w a + 0.2 (w + a) + 10.65 psum um2 (at most 6.4 % off). Leakage 21 nW
    per um2. Flip-flops: both operands and the partial sum.
    """
    psum = plain_psum_bits(w_bits, a_bits)
    area = 7.4 * w_bits * a_bits + 0.2 * (w_bits + a_bits) + PSUM_BIT_UM2 * psum
    clock = CLOCK_FJ_PER_FLIP_FLOP * (w_bits + a_bits + psum)
    total = 121 + 13.7 * w_bits * a_bits + 29.9 * (w_bits + a_bits)
    return MeasuredPE(PhysicalCost(area, LOGIC_LEAKAGE_UW_PER_UM2 * area, clock), total - clock)


LOGIC_LEAKAGE_UW_PER_UM2 = 0.021
"""Library mean of Nangate45 at LOGIC_CELSIUS."""

LOGIC_CELSIUS = 25.0
"""Temperature of the logic's leakage."""


def assumed_cost(area_um2: float, flip_flops: int) -> PhysicalCost:
    """Return the cost of a PE that was not measured: leakage by the library mean, clock energy by its flip-flops.

    >>> assumed_cost(100.0, 10)
    PhysicalCost(area_um2=100.0, leakage_uw=2.1, clock_fj=86.6875)
    """
    return PhysicalCost(area_um2, LOGIC_LEAKAGE_UW_PER_UM2 * area_um2, CLOCK_FJ_PER_FLIP_FLOP * flip_flops)


def plain_pe(w_bits: int, a_bits: int) -> MeasuredPE:
    """Return a plain weight-stationary PE of these widths: the measured row where there is one, else the fit."""
    return measured_pe("ws_mac", w_bits, a_bits) or fitted_pe(w_bits, a_bits)


@cached(64)
def rate_points(pe: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the rates of a table-driven PE; empty where the table has no row of it.

    The keys are (activation bits, weight bits), the values (products, interval in cycles).

    >>> rate_points("unpu")[16, 1]
    (4, 1)
    """
    found = [row for row in built_in_table("throughput") if row["pe"] == pe]
    return {
        (int(row["a_bits"]), int(row["w_bits"])): (int(row["products"]), int(row["interval_cycles"])) for row in found
    }


@dataclass(frozen=True)
class Operator:
    """A bare operator with uniform operands.

    Attributes
    ----------
    energy_fj : energy per operation at 1.1 V
    area_um2 : area before placement
    """

    energy_fj: float
    area_um2: float


@cached(64)
def operator(name: str, bits: int) -> Operator:
    """Return the measured operator `add`, `mul` or `reg` (one 8-bit register, clock included) of `bits`.

    >>> operator("mul", 8).energy_fj
    1032.5
    """
    table = built_in_table("operators_nangate45")
    for row in table:
        if (row["op"], int(row["bits"])) == (name, bits):
            return Operator(float(row["E_fJ_uniform_1.1V"]), float(row["area_um2"]))
    raise UnknownName("operator", f"{name} {bits}", [f"{row['op']} {row['bits']}" for row in table])


@cached(1)
def dram_pj_per_bit() -> dict[str, float]:
    """Return the energy of moving one bit to or from each kind of DRAM.

    >>> dram_pj_per_bit()["lpddr4"]
    8.0
    """
    return {row["kind"]: float(row["pJ_per_bit"]) for row in built_in_table("dram")}


def dram_source(kind: str) -> str:
    """Return the source of the energy of one kind of DRAM.

    >>> dram_source("ddr4")
    'assumed: no figure was found'
    """
    return next(row["source"] for row in built_in_table("dram") if row["kind"] == kind)
