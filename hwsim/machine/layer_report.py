"""Layer reports: cycles by cause, utilization, traffic and energy of every layer, without weights and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.arithmetic import ceil_div
from hwsim.formats import Kind
from hwsim.machine.components import SCRATCHPADS
from hwsim.machine.cost.estimate import estimate
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS, STALLS
from hwsim.machine.mapping.mapping import Mapping
from hwsim.machine.mapping.tiling import Tiling
from hwsim.machine.run import Precision, Run
from hwsim.machine.technology.technology import Technology
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
    scratchpad_read_bytes, scratchpad_write_bytes : over the ports of all three scratchpads
    time_s : seconds
    energy_pj : of all components, static; None without a technology
    """

    layer: str
    macs: int
    cycles: dict[str, int]
    utilization: float
    dram_bytes: int
    tiling: Tiling | None = None
    scratchpad_read_bytes: int = 0
    scratchpad_write_bytes: int = 0
    time_s: float = 0.0
    energy_pj: float | None = None

    def under(self, name: str) -> LayerReport:
        """Return the same numbers for a layer called `name`."""
        return replace(self, layer=name)

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
            "scratchpad_read_bytes": self.scratchpad_read_bytes,
            "scratchpad_write_bytes": self.scratchpad_write_bytes,
            "time_us": _rounded(self.time_s * 1e6),
            "gmac_per_s": _rounded(self.macs / self.time_s / 1e9 if self.time_s else 0.0),
            **({} if self.energy_pj is None else {"energy_uj": _rounded(self.energy_pj / 1e6)}),
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
        seconds = sum(report.time_s for report in reports)
        total["gmac_per_s"] = _rounded(sum(report.macs for report in reports) / seconds / 1e9 if seconds else 0.0)
        total["utilization"] = round(network_utilization(reports), 6)
    return total


def network_utilization(reports: Sequence[LayerReport]) -> float:
    """Return PE cycles with a product over all PE cycles of the layers together; 0 without cycles.

    Layers of the vector unit have cycles and no product, so they lower it.
    """
    cycles = sum(report.total_cycles for report in reports)
    return sum(report.utilization * report.total_cycles for report in reports) / max(1, cycles)


def layer_reports(
    accelerator: Accelerator, workload: Workload, batch: int = 1, technology: Technology | None = None
) -> list[LayerReport]:
    """Compute cycles, utilization, traffic and time of every layer; with region precision all regions at full width.

    With a `technology` also the energy, by static prices. Raises Infeasible, naming the layer, when one cannot run,
    and BadInput for a batch below 1, or for a scratchpad that the technology has no price for.

    >>> from hwsim.network.product import conv_product
    >>> from hwsim.registry import build
    >>> (report,) = layer_reports(build("accelerator", "tiny"), [("conv", conv_product(1, 8, 8, 8))])
    >>> report.total_cycles == sum(report.cycles.values())
    True
    """
    counted: dict[tuple[Mapping, bool, bool], LayerReport] = {}  # equal layers are counted once
    reports = []
    for mapped in map_layers(workload, accelerator, batch):
        mapping, layer = mapped.mapping, mapped.layer
        if mapping is None:
            cycles, counts = (
                {name: value * batch for name, value in e.items()} for e in (mapped.cycles, mapped.counts)
            )
            reports.append(_report(mapped.name, None, cycles, counts, accelerator, technology))
            continue
        requantizes = layer is None or layer.requantizer is not None
        decodes = layer is not None and layer.weight is not None and layer.weight.format.kind is Kind.CODEBOOK
        if (mapping, requantizes, decodes) not in counted:
            cycles, counts = product_layer(accelerator, mapping, requantizes)
            if decodes:
                counts["decodes"] = mapping.totals["weight_reads"]
            report = _report("", mapping, cycles, counts, accelerator, technology)
            counted[mapping, requantizes, decodes] = report
        reports.append(counted[mapping, requantizes, decodes].under(mapped.name))
    return reports


def _report(
    name: str,
    mapping: Mapping | None,
    cycles: Entries,
    counts: Entries,
    accelerator: Accelerator,
    technology: Technology | None,
) -> LayerReport:
    by_cause = {cause: _number(cycles.get(cause, 0)) for cause in CAUSES}
    by_event = {event: _number(counts.get(event, 0)) for event in EVENTS}
    total = sum(by_cause.values())
    reads, writes = (
        sum(ceil_div(by_event[f"{pad}_{port}_bits"], 8) for pad in SCRATCHPADS) for port in ("read", "write")
    )
    return LayerReport(
        name,
        mapping.product.macs * mapping.batch if mapping else 0,
        by_cause,
        by_event["pe_busy_cycles"] / max(1, total * accelerator.pes),
        ceil_div(by_event["dram_read_bits"] + by_event["dram_write_bits"], 8),
        mapping.tiling if mapping else None,
        reads,
        writes,
        total / accelerator.clock_hz,
        None if technology is None else _energy_pj(accelerator, mapping, by_cause, by_event, technology),
    )


def _energy_pj(
    accelerator: Accelerator,
    mapping: Mapping | None,
    cycles: dict[str, int],
    counts: dict[str, int],
    technology: Technology,
) -> float:
    """Return the energy of a layer by static prices, as `estimate` gives for a run without counted toggles."""
    product = mapping.product if mapping else None
    run = Run(
        outputs=np.zeros((1, 0), dtype=np.int32),
        layers=("layer",),
        cycles=np.array([[list(cycles.values())]], dtype=np.int64),
        counts=np.array([[list(counts.values())]], dtype=np.int64),
        masks={},
        accelerator=accelerator,
        logit_scale=1.0,
        precisions=(Precision(product.a_bits, product.w_bits, product.low_bits) if product else None,),
    )
    return float(estimate(run, technology).total_energy_pj[0])


def _rounded(value: float) -> float:
    """Return six significant digits."""
    return float(f"{value:.6g}")


def _number(value: int | NDArray[np.int64]) -> int:
    """Return the one number of all samples."""
    return value if isinstance(value, int) else int(value.item())
