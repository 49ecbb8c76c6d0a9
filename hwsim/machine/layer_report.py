"""Layer reports: cycles by cause, utilization and DRAM traffic of every layer, without weights and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, STALLS
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.timing.layer_counts import Entries, product_layer
from hwsim.machine.timing.mapped_layers import Workload, map_layers


@dataclass(frozen=True)
class LayerReport:
    """One layer on an accelerator, for all samples of a batch.

    Attributes
    ----------
    layer : name
    macs : products, those with padding included
    cycles : by cause (`hwsim.machine.events.CAUSES`)
    utilization : PE cycles with a product over all PE cycles of the layer, whatever the cause of a cycle
    dram_bytes : read and written
    tiling : None for layers of the vector unit
    """

    layer: str
    macs: int
    cycles: dict[str, int]
    utilization: float
    dram_bytes: int
    tiling: Tiling | None = None

    def under(self, name: str) -> LayerReport:
        """Return the same numbers for a layer called `name`."""
        return LayerReport(name, self.macs, self.cycles, self.utilization, self.dram_bytes, self.tiling)

    @property
    def total_cycles(self) -> int:
        """Cycles of all causes."""
        return sum(self.cycles.values())

    @property
    def stall_cycles(self) -> int:
        """Cycles in which array or vector unit wait, of all stall causes, prefetch and writeback."""
        return sum(self.cycles[name] for name in STALLS)

    def row(self) -> dict[str, str | int | float]:
        """Return the columns of `hwsim cycles`."""
        return {
            "layer": self.layer,
            "macs": self.macs,
            "compute_cycles": self.cycles["compute"],
            "vector_cycles": self.cycles["vector"],
            "fill_drain_cycles": self.cycles["fill_drain"],
            "weight_load_cycles": self.cycles["weight_load"],
            "stall_cycles": self.stall_cycles,
            "total_cycles": self.total_cycles,
            "utilization": round(self.utilization, 6),
            "dram_bytes": self.dram_bytes,
        }

    def breakdown(self) -> dict[str, str | int | float]:
        """Return one column per cause, then the total."""
        return {"layer": self.layer, **self.cycles, "total_cycles": self.total_cycles}


def total_row(reports: Sequence[LayerReport], breakdown: bool = False) -> dict[str, str | int | float]:
    """Return the row of sums over all layers; its utilization is that of the whole workload."""
    rows = [report.breakdown() if breakdown else report.row() for report in reports]
    total: dict[str, str | int | float] = {"layer": "total"}
    for column in list(rows[0])[1:]:
        total[column] = sum(row[column] for row in rows)  # type: ignore[misc]
    if "utilization" in total:
        total["utilization"] = round(network_utilization(reports), 6)
    return total


def network_utilization(reports: Sequence[LayerReport]) -> float:
    """Return PE cycles with a product over all PE cycles of the layers together; 0 without cycles.

    Layers of the vector unit have cycles and no product, so they lower it.
    """
    cycles = sum(report.total_cycles for report in reports)
    return sum(report.utilization * report.total_cycles for report in reports) / max(1, cycles)


def layer_reports(accelerator: Accelerator, workload: Workload, batch: int = 1) -> list[LayerReport]:
    """Compute cycles, utilization and DRAM traffic of every layer; with region precision all regions at full width.

    Raises Infeasible, naming the layer, when one cannot run, and BadInput for a batch below 1.

    >>> from hwsim.network.product import conv_product
    >>> from hwsim.registry import build
    >>> (report,) = layer_reports(build("accelerator", "tiny"), [("conv", conv_product(1, 8, 8, 8))])
    >>> report.total_cycles == sum(report.cycles.values())
    True
    """
    counted: dict[Mapping, LayerReport] = {}  # equal layers have one mapping, and are counted once
    reports = []
    for mapped in map_layers(workload, accelerator, batch):
        mapping = mapped.mapping
        if mapping is None:
            cycles, counts = (
                {name: value * batch for name, value in e.items()} for e in (mapped.cycles, mapped.counts)
            )
            reports.append(_report(mapped.name, 0, cycles, counts, accelerator))
            continue
        if mapping not in counted:
            macs = mapping.product.macs * mapping.batch
            counted[mapping] = _report("", macs, *product_layer(accelerator, mapping), accelerator, mapping.tiling)
        reports.append(counted[mapping].under(mapped.name))
    return reports


def _report(
    name: str, macs: int, cycles: Entries, counts: Entries, accelerator: Accelerator, tiling: Tiling | None = None
) -> LayerReport:
    by_cause = {cause: _number(cycles.get(cause, 0)) for cause in CAUSES}
    total = max(1, sum(by_cause.values()) * accelerator.pes)
    bits = _number(counts.get("dram_read_bits", 0)) + _number(counts.get("dram_write_bits", 0))
    return LayerReport(
        name, macs, by_cause, _number(counts.get("pe_busy_cycles", 0)) / total, ceil_div(bits, 8), tiling
    )


def _number(value: int | NDArray[np.int64]) -> int:
    """Return the one number of all samples."""
    return value if isinstance(value, int) else int(value.item())
