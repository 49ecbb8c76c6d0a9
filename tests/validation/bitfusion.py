"""Bit Fusion: its comparison with Eyeriss on eight networks, and its PEs."""

from __future__ import annotations

from dataclasses import replace

from hwsim.machine.cost.estimate import estimate
from hwsim.machine.cost.uncertainty import estimate_range
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.pe.fixed import Fixed
from hwsim.machine.pe.fused import Fused
from hwsim.machine.run import Run
from hwsim.machine.technology.tables import plain_pe
from hwsim.machine.technology.technology import Technology
from hwsim.network.product import Product, conv_product
from hwsim.registry import build
from tests.validation.bitfusion_ladder import channel_times, ladder, taps_in_turn
from tests.validation.golden import read
from tests.validation.machines import Layers, accelerator, at_bits, band, geometric_mean, layers_of, run_of
from tests.validation.rows import NOT_REPRODUCED, TREND, Group, Row, Section

BATCH, BITS = 16, 16
SOURCE = "H. Sharma et al., ISCA 2018: printed outputs of the notebook in hsharma35/bitfusion"
SYNTHESIS = "hsharma35/bitfusion @04ec1c8, results/systolic_array_synth.csv, 45 nm, 500 MHz"
POOLED = {27: 28, 13: 14}
"""Height of AlexNet's maps after pooling: torchvision's -> the notebook's."""

IN_4X4 = {"area": 1734.6 / 510.7, "energy": 0.4592 / 0.2034}
"""Fusible over fixed 8-bit PE in the source's 4x4 arrays: um2 and pJ per cycle of one PE."""

FAST = "it does {0:.0f} G MAC/s here, more than 168 PEs at 500 MHz can (84), so it is another machine"
WAITS = "hwsim counts the loading of weights and the networks to the PEs"
CHANNELS = (
    "it lays input channels alone along rows and lanes ({0:.3g} ms by its formula, before stalls), "
    "hwsim the whole reduction"
)
SHORT = "a fold streams 16 vectors at most and then waits for the next weights; its formula counts no such wait"
BOTH = "follows from the two columns of times below"
PRICES = (
    "it charges Bit Fusion 15 pJ per bit of DRAM, Eyeriss 6 (200 x 0.15 x 3.2 pJ per 16 bits): printed ratios mix both"
)
ENERGY = "follows from the times, and from 16-bit PEs and their memories against narrow lanes"
FUSIBLE = "nearly 4 times the products (twice the width), and our fusible PE is the dearer one, see below"
UNPIPELINED = "ours is one combinational tree, not pipelined and not optimized"
CLOSER = "what the source's PE holds besides the multiplier is not stated"


def groups() -> tuple[Group, ...]:
    """Speed-up and energy reduction, the times behind them, and the price of fusing."""
    theirs = {row["network"]: row for row in read("bitfusion_vs_eyeriss_notebook")}
    networks = [name for name in theirs if name != "geomean"]
    ours = {name: (_eyeriss(name), _bitfusion(name)) for name in networks}
    plain = {name: _plain(name) for name in networks}
    fused = {name: _fused(name) for name in networks}
    return (
        _speed(theirs, ours),
        ladder(plain, fused, float(theirs["geomean"]["speedup"]), SOURCE),
        _source_times(theirs, channel_times(fused)),
        _energy(theirs, ours),
        _energy_at_its_prices(theirs, ours),
        _fusion_times(theirs, ours),
        _eyeriss_times(theirs, ours),
        _pes(),
    )


Runs = dict[str, tuple[Run, Run]]
Golden = dict[str, dict[str, str]]


def _eyeriss(network: str) -> Run:
    """The Eyeriss side: 16 bits and plain width, at the other side's clock and DRAM port."""
    machine = accelerator("eyeriss", clock="500 MHz", dram={"bandwidth_bytes_per_cycle": 24, "latency_cycles": 50})
    return run_of(machine, at_bits(_plain(network), BITS), BATCH)


def _bitfusion(network: str) -> Run:
    machine: Accelerator = accelerator("bitfusion")
    return run_of(machine, _fused(network), BATCH)


def _workload(network: str) -> str:
    return "bitfusion_" + network.lower().replace("-", "")


def _plain(network: str) -> Layers:
    """The layers as the Eyeriss column runs them."""
    if network == "AlexNet":
        return layers_of("alexnet")
    layers = layers_of(_workload(network))
    return [(name, _half(product)) for name, product in layers] if network == "RESNET-18" else layers


def _fused(network: str) -> Layers:
    """The layers as the Bit Fusion column runs them: AlexNet with its maps of 28x28 and 14x14 after pooling."""
    return [(name, _pooled(product)) for name, product in layers_of(_workload(network))]


def _pooled(product: Product) -> Product:
    """The layer on the map of the notebook's AlexNet, where torchvision's is 27x27 or 13x13."""
    window = product.window
    if window is None or window.height not in POOLED:
        return product
    side, channels = POOLED[window.height], product.reduction // window.taps
    made = conv_product(channels, product.filters, side, side, window.geometry)
    return replace(made, a_bits=product.a_bits, w_bits=product.w_bits, out_bits=product.out_bits)


def _half(product: Product) -> Product:
    """The layer with half of the filters, and of the channels unless it reads the image."""
    window = product.window
    assert window is not None
    channels = product.reduction // window.taps
    narrow = channels if channels == 3 else channels // 2
    half = conv_product(narrow, product.filters // 2, window.height, window.width, window.geometry)
    return replace(half, out_bits=product.out_bits)


def _speed(theirs: Golden, ours: Runs) -> Group:
    rows = [
        Row(name, float(theirs[name]["speedup"]), _milliseconds(eyeriss) / _milliseconds(fusion), BOTH)
        for name, (eyeriss, fusion) in ours.items()
    ]
    mean = geometric_mean(float(row.nominal) for row in rows)
    rows.append(Row("**geometric mean**", float(theirs["geomean"]["speedup"]), mean, BOTH))
    return Group("speed-up over Eyeriss, eight networks", SOURCE, tuple(rows), _kind(rows[-1]))


def _energy(theirs: Golden, ours: Runs) -> Group:
    rows, ratios = [], []
    for name, (eyeriss, fusion) in ours.items():
        a, b = estimate_range(eyeriss), estimate_range(fusion)
        ratios.append((a.totals_pj / b.totals_pj).tolist())
        reason = FUSIBLE if name in ("AlexNet", "RESNET-18") else ENERGY
        rows.append(Row(name, float(theirs[name]["energy_reduction"]), band(a.relative_to(b)), reason))
    means = [geometric_mean(values) for values in zip(*ratios, strict=True)]
    found = min(means), means[0], max(means)
    rows.append(Row("**geometric mean**", float(theirs["geomean"]["energy_reduction"]), found, ENERGY))
    return Group("energy reduction against Eyeriss, eight networks", SOURCE, tuple(rows), _kind(rows[-1]))


def _kind(mean: Row) -> str:
    """Within a factor of 2 it is a trend."""
    kind = TREND if 0.5 <= mean.ratio <= 2 else NOT_REPRODUCED
    return f"{kind}: geometric mean {float(mean.nominal):.1f} against {float(mean.theirs):.1f}"


def _milliseconds(run: Run) -> float:
    """Of one image."""
    return 1e3 * float(run.cycles.sum()) / run.accelerator.clock_hz / BATCH


def _fusion_times(theirs: Golden, ours: Runs) -> Group:
    rows = []
    for name, (_, fusion) in ours.items():
        if name in ("RNN", "LSTM"):
            reason = SHORT
        elif name in ("AlexNet", "RESNET-18"):
            reason = WAITS
        else:
            reason = CHANNELS.format(_formula_ms(name))
        rows.append(Row(name, float(theirs[name]["bitfusion_ms_per_image"]), _milliseconds(fusion), reason))
    return Group("Bit Fusion alone, ms per image", SOURCE, tuple(rows), _times(rows))


def _eyeriss_times(theirs: Golden, ours: Runs) -> Group:
    rows = []
    for name, (eyeriss, _) in ours.items():
        their_ms = float(theirs[name]["eyeriss_ms_per_image"])
        speed = float(eyeriss.event("macs_full").sum()) / BATCH / their_ms / 1e6
        peak = eyeriss.accelerator.pes * eyeriss.accelerator.clock_hz / 1e9
        rows.append(Row(name, their_ms, _milliseconds(eyeriss), FAST.format(speed) if speed > peak else WAITS))
    return Group("Eyeriss alone, ms per image", SOURCE, tuple(rows), _times(rows))


def _times(rows: list[Row]) -> str:
    near = [row.what for row in rows if abs(row.ratio - 1) <= 0.25]
    return f"{NOT_REPRODUCED}, but {' and '.join(near)} within 25 %" if near else NOT_REPRODUCED


def _formula_ms(network: str) -> float:
    """What its simulator's formula says (hsharma35/bitfusion @04ec1c8, accelerator.py), stalls left out.

    Rows and lanes take input channels, in layers that read an image the whole window; taps follow each other.
    """
    machine, cycles = accelerator("bitfusion"), 0
    for _, product in _fused(network):
        lanes = (8 // max(product.a_bits, 2)) * (8 // max(product.w_bits, 2))
        taps = taps_in_turn(product)
        depth = -(-(product.reduction // taps) // (machine.array.rows * lanes))
        cycles += product.pixels * taps * depth * -(-product.filters // machine.array.cols)
    return 1e3 * cycles / machine.clock_hz


def _source_times(theirs: Golden, ours: dict[str, float]) -> Group:
    """Bit Fusion as the last rung of the ladder has it."""
    rows = [Row(name, float(theirs[name]["bitfusion_ms_per_image"]), value) for name, value in ours.items()]
    return Group("Bit Fusion on its own assumptions (the last rung), ms per image", SOURCE, tuple(rows))


def _energy_at_its_prices(theirs: Golden, ours: Runs) -> Group:
    """DRAM at 6 pJ per bit for Eyeriss and 15 for Bit Fusion, as the source charges them."""
    rows = []
    for name, (eyeriss, fusion) in ours.items():
        a, b = (float(estimate(run, _dram_at(pj)).total_energy_pj.sum()) for run, pj in ((eyeriss, 6), (fusion, 15)))
        rows.append(Row(name, float(theirs[name]["energy_reduction"]), a / b, PRICES))
    mean = geometric_mean(float(row.nominal) for row in rows)
    rows.append(Row("**geometric mean**", float(theirs["geomean"]["energy_reduction"]), mean, PRICES))
    return Group("energy reduction with the source's two prices of DRAM", SOURCE, tuple(rows), _kind(rows[-1]))


def _dram_at(pj_per_bit: float) -> Technology:
    price = {"item": "dram", "pj_per_bit": pj_per_bit, "source": "hsharma35/bitfusion @04ec1c8"}
    made: Technology = build("technology", "bitfusion45", prices=[price])
    return made


def _pes() -> Group:
    """Fusible 8-to-2-bit PE over fixed 8-bit PE."""
    golden = {(row["max_bits"], row["min_bits"]): row for row in read("bitfusion_45nm_pe_synth")}
    fixed, fused = Fixed(), Fused()
    area = fused.physical_cost().area_um2 / fixed.physical_cost().area_um2
    energy = (fused.mac_energy_fj(8, 8) + fused.physical_cost().clock_fj) / (
        fixed.mac_energy_fj(8, 8) + fixed.physical_cost().clock_fj
    )
    one = {name: float(golden["8", "2"][name]) / float(golden["8", "8"][name]) for name in ("area_um2", "dynamic_nW")}
    rows = [
        Row("area, fusible over fixed, in a 4x4 array", IN_4X4["area"], area, UNPIPELINED),
        Row("the same, array of one PE", one["area_um2"], area, UNPIPELINED),
        Row("energy per 8x8 product, in a 4x4 array", IN_4X4["energy"], energy, UNPIPELINED),
        Row("the same, array of one PE", one["dynamic_nW"], energy, UNPIPELINED),
    ]
    for bits in (2, 4, 8, 16):
        um2 = float(golden[str(bits), str(bits)]["area_um2"])
        rows.append(
            Row(f"fixed {bits}-bit PE, um2, array of one PE", um2, plain_pe(bits, bits).physical.area_um2, CLOSER)
        )
    return Group("PEs: fusible 8-to-2-bit against fixed ones", SYNTHESIS, tuple(rows))


SECTION = Section(
    "Bit Fusion",
    """
`bitfusion` and `eyeriss`, batches of 16 as there. As in its notebook, Bit Fusion runs AlexNet and ResNet-18 at
twice the width with 4- and 8-bit operands, and Eyeriss at plain width with 16 bits: `alexnet`, and
`bitfusion_resnet18` with half of its channels (it is not torchvision's ResNet-18). AlexNet's maps after pooling are
28x28 and 14x14 here, as in its notebook; one of its result files has 13x13. Its Eyeriss is a model, not the chip, and
its clock is not stated; ours has the clock and the DRAM port of `bitfusion`. The ladder takes over what the source
assumes, one thing after the other; its tiles have the fewest cycles on both sides.
Balanced tiles would end it at about 4.4. The source's energies charge
Bit Fusion 15 pJ per bit of DRAM (its stats.py) and Eyeriss 6; both prices are used in a table of their own.
Its area (2.14 mm2) is not
the 5.87 mm2 that it aims at, as the notebook itself says. Energies are those of all components, DRAM included.
""",
    groups,
)
