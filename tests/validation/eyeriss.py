"""Eyeriss: measured silicon, the five convolutions of AlexNet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.estimate import COMPONENTS, estimate
from hwsim.machine.cost.uncertainty import calibrations
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.run import Run
from tests.validation.golden import read
from tests.validation.machines import Layers, accelerator, at_bits, layers_of, run_of
from tests.validation.rows import NOT_REPRODUCED, TREND, Group, Row, Section

BATCH, BITS = 4, 16
SOURCE = "Y.-H. Chen et al., IEEE JSSC 52(1), 2017, by way of cucapra/fodlam; three cells repaired by arithmetic"
WAITS = ("stall_dram_bandwidth", "stall_dram_latency", "prefetch", "writeback")
MEGABYTE, MILLISECONDS, MILLIWATTS = 1e6, 1e3, 1e-9

HALVES = (
    "half of a fixed third of the buffer holds few partial sums of its 55x55 map, so that a pass has few output rows"
)
LOSSES = "the chip takes 4 to 21 % longer than MACs over PEs at work; hwsim counts weight loads and drain only"
MORE_DRAM = "more DRAM traffic, see below"
TILES = "smaller tiles (half of a fixed third of the buffer), and no compression"
FASTEST = "hwsim takes the pass with the fewest cycles, the paper's mapping the least energy"
GATED = "its PEs rest at zero activations, which static energy does not know; 65 nm against 45"
FEW_BUSY = "fewer PEs at work, see above; 65 nm against 45"

Golden = list[dict[str, str]]


def groups() -> tuple[Group, ...]:
    """The file as it is, and with a buffer of which half is as large as the chip's."""
    golden = read("eyeriss_alexnet_jssc2017")
    layers = at_bits(layers_of("alexnet", lambda name: name.startswith("conv")), BITS)
    machine = accelerator("eyeriss")
    run = run_of(machine, layers, BATCH)
    twice = {pad: {"kib": 2 * machine.scratchpads[pad].kib} for pad in SCRATCHPADS}
    roomy = accelerator("eyeriss", scratchpads=twice)
    roomy_run = run_of(roomy, layers, BATCH)
    return (
        _active("PEs at work, of 168", golden, machine, layers, HALVES),
        _processing("processing latency, ms", golden, run, [HALVES, *[LOSSES] * 4]),
        _total("latency with DRAM, ms", golden, run, [HALVES, *[LOSSES] * 3, MORE_DRAM]),
        _active("PEs at work, buffer twice as large", golden, roomy, layers, ""),
        _processing("processing latency, buffer twice as large", golden, roomy_run, [LOSSES] * 5),
        _total("latency with DRAM, buffer twice as large", golden, roomy_run, [*[LOSSES] * 4, MORE_DRAM]),
        _traffic("DRAM traffic, MB", golden, "dram_MB", run, ("dram",), TILES),
        _traffic("global buffer traffic, MB", golden, "gbuf_MB", run, SCRATCHPADS, FASTEST),
        _power(golden, run),
    )


def _group(
    what: str, golden: Golden, column: str, ours: NDArray[np.float64], reasons: Sequence[str], kind: str = ""
) -> Group:
    """A row for each layer and one for their sum."""
    pairs = zip(golden[:-1], ours.tolist(), reasons, strict=True)
    rows = [Row(row["layer"], float(row[column]), value, reason) for row, value, reason in pairs]
    total = Row("**all layers**", float(golden[-1][column]), float(ours.sum()))
    return Group(f"AlexNet, batch {BATCH}: {what}", SOURCE, (*rows, total), kind or _verdict(rows, total))


def _verdict(rows: Sequence[Row], total: Row) -> str:
    """The sum first: single layers stray further."""
    worst = max(abs(row.ratio - 1) for row in rows)
    return f"sum within {100 * abs(total.ratio - 1):.0f} %, layers within {100 * worst:.0f} %"


def _processing(what: str, golden: Golden, run: Run, reasons: Sequence[str]) -> Group:
    array = run.cycles.sum(axis=2)[0] - sum(run.cause(name)[0] for name in WAITS)
    return _group(what, golden, "processing_latency_ms", array / run.accelerator.clock_hz * MILLISECONDS, reasons)


def _total(what: str, golden: Golden, run: Run, reasons: Sequence[str]) -> Group:
    every = run.cycles.sum(axis=2)[0] / run.accelerator.clock_hz * MILLISECONDS
    return _group(what, golden, "total_latency_ms", every, reasons)


def _traffic(what: str, golden: Golden, column: str, run: Run, ports: Sequence[str], reason: str) -> Group:
    bits = sum(run.event(f"{port}_{way}_bits")[0] for port in ports for way in ("read", "write"))
    return _group(what, golden, column, bits / 8 / MEGABYTE, [reason] * len(run.layers), NOT_REPRODUCED)


def _active(what: str, golden: Golden, machine: Accelerator, layers: Layers, reason: str) -> Group:
    rows = []
    for row, (_, product) in zip(golden[:-1], layers, strict=True):
        passes = derive_mapping(machine, product, BATCH).row_stationary_pass
        assert passes is not None
        near = abs(passes.active_pes / int(row["active_PEs"]) - 1) < 0.1
        why = "" if passes.active_pes == int(row["active_PEs"]) else FASTEST if near else reason
        rows.append(Row(row["layer"], int(row["active_PEs"]), passes.active_pes, why))
    return Group(f"AlexNet, batch {BATCH}: {what}", SOURCE, tuple(rows))


def _power(golden: Golden, run: Run) -> Group:
    """On-chip energy over time, by every calibration."""
    names = [row["layer"] for row in golden[:-1]] + ["**all layers**"]
    parts = [slice(i, i + 1) for i in range(len(run.layers))] + [slice(None)]
    rows = [
        Row(name, float(row["power_mW"]), _milliwatts(run, part), FEW_BUSY if name == "CONV1" else GATED)
        for name, row, part in zip(names, golden, parts, strict=True)
    ]
    note = """
Power of the chip without DRAM. The band spans hwsim's calibrations of logic and scratchpads, all at 45 nm, where
the chip is 65 nm: the absolute level is not comparable. What can be seen is that the chip's power falls with the
zeros in its inputs and ours does not."""
    return Group(f"AlexNet, batch {BATCH}: power on chip, mW", SOURCE, tuple(rows), TREND, note=note)


def _milliwatts(run: Run, part: slice) -> tuple[float, float, float]:
    """Power of some layers by the lowest, the nominal and the highest calibration."""
    seconds = run.cycles[0, part].sum() / run.accelerator.clock_hz
    powers = []
    for technology in calibrations():
        components = estimate(run, technology).energy_pj[0, part].sum(axis=0)
        on_chip = sum(components[i] for i, name in enumerate(COMPONENTS) if name != "dram")
        powers.append(float(on_chip / seconds * MILLIWATTS))
    return min(powers), powers[0], max(powers)


SECTION = Section(
    "Eyeriss",
    """
`eyeriss` at its 200 MHz, 16 bits, the convolutions of `alexnet` for a batch of 4. The accelerator file has the
paper's numbers but for the division of the global buffer: the chip gives each layer other shares of its 108 KB and
holds most things once, hwsim gives inputs, weights and partial sums a third each and works on one half while the
other one fills. So the comparison is made twice: with the file as it is, and with a buffer twice as large, of which
the half at work is 108 KB. Then the search for the best pass finds the chip's own numbers of PEs. Passes, networks
to the PEs, DRAM and their cycles are hwsim's own model; nothing was fitted.
""",
    groups,
)
