"""SCALE-Sim v3: cycles and scratchpad accesses of every layer of ResNet-18."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.mapping.mapping import Mapping, derive_mapping
from hwsim.machine.timing.layer_cycles import time_layer
from hwsim.machine.timing.traffic import product_traffic
from hwsim.network.product import Product
from tests.validation.golden import read
from tests.validation.machines import accelerator
from tests.validation.rows import Group, Row, Section

SIZE = 32
FLOWS = {"ws": "weight stationary", "os": "output stationary", "is": "input stationary"}
SOURCE = "SCALE-Sim v3 (scalesim-project/SCALE-Sim 1d62b68, package 3.0.0), stall-free mode"
PORTS = {"ifmap_reads": "ifmap reads", "filter_reads": "filter reads", "ofmap_writes": "ofmap writes"}
SLIP = "its own demand matrices hold M N writes; it counts R + C per fold a second time"


def groups() -> tuple[Group, ...]:
    """Cycles of each dataflow, then the accesses of all."""
    found = {flow: list(_layers(flow)) for flow in FLOWS}
    cycles = tuple(_cycles(flow, layers) for flow, layers in found.items())
    return (*cycles, _accesses(found))


Layer = tuple[dict[str, str], int, dict[str, int], Mapping]
"""A golden row, our cycles, our words over each port, and the mapping."""


def _layers(flow: str) -> Iterator[Layer]:
    whole = {pad: {"kib": 1 << 16} for pad in SCRATCHPADS}
    array = {"rows": SIZE, "cols": SIZE}
    machine = accelerator("tpu_like", array=array, dataflow=flow, timing="scalesim", scratchpads=whole)
    for row in read("resnet18_scalesim_32x32"):
        if row["dataflow"] != flow:
            continue
        product = Product(int(row["pixels"]), int(row["reduction"]), int(row["filters"]), out_bits=32)
        mapping = derive_mapping(machine, product)
        traffic = product_traffic(machine, mapping)
        words = {
            "ifmap_reads": traffic.ifmap_read_bits // product.a_bits,
            "filter_reads": traffic.weight_read_bits // product.w_bits,
            "ofmap_writes": traffic.ofmap_write_bits // machine.psum_bits,
        }
        yield row, int(time_layer(machine, mapping).total[0]), words, mapping


def _cycles(flow: str, layers: list[Layer]) -> Group:
    rows = [Row(row["layer"], int(row["reported_cycles"]) + 1, cycles) for row, cycles, _, _ in layers]
    total = Row("**all layers**", sum(int(row.theirs) for row in rows), sum(int(row.nominal) for row in rows))
    return Group(f"ResNet-18 on {SIZE}x{SIZE}, {FLOWS[flow]}: cycles", SOURCE, (*rows, total), checked=len(rows))


def _accesses(found: dict[str, list[Layer]]) -> Group:
    """Sums over layers; every layer is compared, the os writes without the slip."""
    rows, wrong = [], 0
    for flow, layers in found.items():
        for port, name in PORTS.items():
            theirs = [int(row[port]) for row, _, _, _ in layers]
            ours = [words[port] for _, _, words, _ in layers]
            slip = [0] * len(ours)
            if (flow, port) == ("os", "ofmap_writes"):
                slip = [2 * SIZE * _folds(row) for row, _, _, _ in layers]
            wrong += sum(t - s != o for t, s, o in zip(theirs, slip, ours, strict=True))
            rows.append(Row(f"{flow} {name}", sum(theirs) - sum(slip), sum(ours)))
            if any(slip):
                rows.append(Row(f"{flow} {name}, as it prints them", sum(theirs), sum(ours), SLIP))
    checked = len(PORTS) * sum(len(layers) for layers in found.values())
    note = "Sums over the 21 layers; each layer was compared by itself. The os writes are compared without its slip."
    return Group(
        "ResNet-18: scratchpad accesses, all dataflows", SOURCE, tuple(rows), "exact", checked, wrong, note=note
    )


def _folds(row: dict[str, str]) -> int:
    return -(-int(row["pixels"]) // SIZE) * -(-int(row["filters"]) // SIZE)


SECTION = Section(
    "SCALE-Sim v3",
    """
`timing = "scalesim"` on `tpu_like` with a 32x32 array. SCALE-Sim prints the index of the last cycle, counted from
0, so it prints one less than these numbers for every layer: `theirs` is what it prints plus 1. There are no stalls,
no DRAM and no prefetch in either. Scratchpads are so large that every layer is one tile, as SCALE-Sim cuts none:
tiles read some operands again.
""",
    groups,
)
