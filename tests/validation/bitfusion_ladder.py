"""Ladder from hwsim's speed-up of Bit Fusion over Eyeriss to the printed one: one assumption of the source a rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.mapping.mapping import derive_mapping
from hwsim.machine.timing.traffic import product_traffic
from hwsim.network.product import Product
from tests.validation.machines import Layers, accelerator, at_bits, geometric_mean, run_of
from tests.validation.rows import Group, Row

BATCH, BITS = 16, 16
IMAGE_CHANNELS = 3
PSUM_BITS = 32

RUNGS: tuple[tuple[str, dict[str, object], str], ...] = (
    ("168 PEs of the chip, DRAM port of `bitfusion`", {}, "the chip is not what the source compares with"),
    ("256 PEs", {"array": {"rows": 16, "cols": 16}}, "its rates, 135 to 256 MACs per cycle, fit 256 PEs"),
    ("no stalls for DRAM", {"dram": {"bandwidth_bytes_per_cycle": 65536, "latency_cycles": 0}}, "as in its cycles"),
)
NETWORKS = "no weight loads, no limit of the networks to the PEs: `eyeriss_nn_dataflow`"
CHANNELS = "Bit Fusion with channels alone along rows and lanes, and 32-bit outputs out and in over DRAM"


def ladder(plain: Mapping[str, Layers], fused: Mapping[str, Layers], printed: float, source: str) -> Group:
    """Return the geometric mean of the speed-ups, rung by rung; tiles have the fewest cycles on both sides."""
    machine = accelerator("bitfusion", optimize="latency")
    fusion = {name: _milliseconds(machine, layers) for name, layers in fused.items()}
    changes: dict[str, object] = {}
    rows = []
    for what, change, reason in RUNGS:
        changes |= change
        eyeriss = accelerator("eyeriss", **{**_clocked(), **changes})
        rows.append(Row(what, printed, _mean(eyeriss, plain, fusion), reason))
    free = accelerator("eyeriss_nn_dataflow", optimize="latency")
    rows.append(Row(NETWORKS, printed, _mean(free, plain, fusion), "as in its cycles"))
    own = _mean(free, plain, channel_times(fused))
    rows.append(Row(CHANNELS, printed, own, "as in its accelerator.py and optimizer.py"))
    return Group("speed-up over Eyeriss, from hwsim to the source, rung by rung", source, tuple(rows), _kind(rows[-1]))


def _kind(last: Row) -> str:
    return f"printed {float(last.theirs):.2f}, last rung {float(last.nominal):.2f}"


def channel_times(fused: Mapping[str, Layers]) -> dict[str, float]:
    """Return Bit Fusion's ms per image by the last rung."""
    machine = accelerator("bitfusion", optimize="latency")
    return {
        name: 1e3 * sum(channel_cycles(machine, product) for _, product in layers) / machine.clock_hz / BATCH
        for name, layers in fused.items()
    }


def channel_cycles(machine: Accelerator, product: Product) -> int:
    """Return the longer of work and transfers of a layer as hsharma35/bitfusion @04ec1c8 counts them.

    Rows and lanes take input channels, in layers that read an image the whole window; taps follow each other.
    Every output leaves with 32 bits and comes back once.
    """
    lanes = (8 // max(product.a_bits, 2)) * (8 // max(product.w_bits, 2))
    depth = product.reduction // taps_in_turn(product)
    work = product.pixels * taps_in_turn(product) * -(-depth // (machine.array.rows * lanes))
    work *= -(-product.filters // machine.array.cols) * product.groups * BATCH
    wide = replace(product, out_bits=PSUM_BITS)
    traffic = product_traffic(machine, derive_mapping(machine, wide, BATCH))
    outputs = product.pixels * product.filters * product.groups * BATCH
    bits = traffic.dram_read_bits + traffic.dram_write_bits + PSUM_BITS * outputs
    return max(work, -(-bits // (machine.dram.bandwidth_bytes_per_cycle * 8)))


def taps_in_turn(product: Product) -> int:
    """Count the taps that follow each other: none in a layer that reads an image, which is treated as im2col."""
    if product.window is None or product.reduction // product.window.taps <= IMAGE_CHANNELS:
        return 1
    return product.window.taps


def _clocked() -> dict[str, object]:
    port = {"bandwidth_bytes_per_cycle": 24, "latency_cycles": 50}
    return {"clock": "500 MHz", "optimize": "latency", "dram": port}


def _milliseconds(machine: Accelerator, layers: Layers) -> float:
    """Of one image."""
    return 1e3 * float(run_of(machine, layers, BATCH).cycles.sum()) / machine.clock_hz / BATCH


def _mean(eyeriss: Accelerator, plain: Mapping[str, Layers], fusion: Mapping[str, float]) -> float:
    return geometric_mean(
        _milliseconds(eyeriss, at_bits(layers, BITS)) / fusion[name] for name, layers in plain.items()
    )
