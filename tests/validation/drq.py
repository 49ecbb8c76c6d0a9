"""DRQ against Eyeriss and OLAccel at equal PE area: trends beside the two sentences of its abstract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import hwsim
from hwsim.machine.cost.iso_area import area_of, size_to_area
from hwsim.machine.cost.uncertainty import estimate_range
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.run import Run
from hwsim.network.graph import Network
from tests.validation.machines import accelerator, band
from tests.validation.pictures import outlier_network, pictures, plain_network, region_networks
from tests.validation.rows import NOT_REPRODUCED, TREND, Group, Row, Section

SAMPLES = 8
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Sensitive shares of regions: those of the paper could not be read."""

OUTLIERS = 0.03
EYERISS_BITS, TO_16_BITS = 16, 257
ROOMY = {"ofmap": {"banks": 16}}
"""The larger arrays have more columns, each with a partial sum per cycle."""

SOURCE = "Z. Song et al., ISCA 2020, abstract"
UNREAD = "networks, shares, array, memories and clock of the paper could not be read"
CLOCKS = "most is DRAM and the clocks of PEs, which nothing gates in our DRQ PE; precision changes neither much"
LANES = (
    "an OLAccel lane has {0:.0f} um2 here, a DRQ PE {1:.0f}; "
    "with 3 % of outliers it takes one cycle for nearly every product"
)


def groups() -> tuple[Group, ...]:
    """Speed and energy over both, for several sensitive shares."""
    codes = pictures(SAMPLES)
    eyeriss = accelerator("eyeriss", clock="500 MHz", dram={"bandwidth_bytes_per_cycle": 24, "latency_cycles": 50})
    budget = area_of(eyeriss)
    drq, olaccel = _sized("drq", budget), _sized("olaccel", budget)
    wide = codes[:1].astype(np.int64) * TO_16_BITS
    over_eyeriss = _simulated(plain_network(codes, EYERISS_BITS), eyeriss, wide)
    over_olaccel = _simulated(outlier_network(codes, OUTLIERS), olaccel, codes)
    runs = [_simulated(network, drq, codes) for network in region_networks(codes, SHARES)]
    lanes = LANES.format(*(one.pe.physical_cost().area_um2 for one in (olaccel, drq)))
    sizes = ", ".join(f"{one.pe.name} {one.array.rows}x{one.array.cols}" for one in (drq, olaccel))
    note = (
        f"Equal area of PEs with the memories in them, {budget / 1e6:.2f} mm2: Eyeriss 12x14, {sizes}; "
        "all at 500 MHz with the same DRAM port."
    )
    return (
        _speed("Eyeriss", over_eyeriss, 1.92, runs, UNREAD, note),
        _energy("Eyeriss", over_eyeriss, 0.28, runs, CLOCKS),
        _speed("OLAccel", over_olaccel, 1.21, runs, lanes),
        _energy("OLAccel", over_olaccel, 0.67, runs, lanes),
    )


def _sized(name: str, budget: float) -> Accelerator:
    """One of the others with PEs of the area of Eyeriss's."""
    return size_to_area(accelerator(name, scratchpads=ROOMY), budget)


def _simulated(network: Network, machine: Accelerator, codes: np.ndarray) -> Run:
    """A run priced by tables like that of Eyeriss, whose toggles are not counted."""
    return replace(hwsim.simulate(network, machine, codes), activity=None)


def _speed(other: str, run: Run, theirs: float, runs: Sequence[Run], reason: str, note: str = "") -> Group:
    ratios = [float(run.latency_cycles.mean() / one.latency_cycles.mean()) for one in runs]
    rows = [Row(f"p = {p}", theirs, ratio, reason) for p, ratio in zip(SHARES, ratios, strict=True)]
    return Group(f"speed over {other} at equal area", SOURCE, tuple(rows), _kind(rows), note=note)


def _energy(other: str, run: Run, theirs: float, runs: Sequence[Run], reason: str) -> Group:
    base = estimate_range(run)
    rows = [
        Row(f"p = {p}", theirs, band(estimate_range(one).relative_to(base)), reason)
        for p, one in zip(SHARES, runs, strict=True)
    ]
    return Group(f"energy over that of {other} at equal area", SOURCE, tuple(rows), _kind(rows))


def _kind(rows: Sequence[Row]) -> str:
    """A trend where most shares agree on who is better, in size too within a factor of 2; and the band over p."""
    ours, theirs = [float(row.nominal) for row in rows], float(rows[0].theirs)
    same = sum((value > 1) == (theirs > 1) for value in ours)
    near = all(0.5 <= row.ratio <= 2 for row in rows)
    kind = NOT_REPRODUCED if 2 * same <= len(ours) else TREND if near else f"{TREND} in direction alone"
    return f"{kind}: {min(ours):.2f} .. {max(ours):.2f} over p, {theirs} there"


SECTION = Section(
    "DRQ",
    """
Not a reproduction: of the paper only the abstract could be read (+92 % performance and -72 % energy against
Eyeriss, +21 % and -33 % against OLAccel), so array, memories and clock are those of `bitfusion`, and the sensitive
share p of the regions is a parameter. Simulated with real masks: ResNet-20 with random weights on parts of two
photographs, regions of 2x2 pixels that all channels share, thresholds set for p, batch 1. OLAccel runs the same
layers with 3 % of outliers among weights and activations, Eyeriss in 16 bits. No accuracy is compared: nothing is
trained.
""",
    groups,
    quick=False,
)
