"""Time a workload without weights and without data: what an accelerator takes for each layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cache import cached
from hwsim.errors import BadInput, Infeasible
from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, STALLS
from hwsim.machine.mapping.mapping import Tiling, check_layer, derive_mapping
from hwsim.machine.timing.layer_counts import Entries, product_layer, vector_layer
from hwsim.network.graph import Network
from hwsim.network.product import Product, as_product
from hwsim.network.width_groups import width_groups


@dataclass(frozen=True)
class LayerReport:
    """One layer on an accelerator, for all samples of a batch: cycles by cause, which add up to `total_cycles`.

    `utilization` is the share of PE cycles in which a PE has a product; `tiling` is None for layers of
    the vector unit.
    """

    layer: str
    macs: int
    cycles: dict[str, int]
    utilization: float
    dram_bytes: int
    tiling: Tiling | None = None

    def under(self, name: str) -> LayerReport:
        """The same numbers for a layer of this name: equal layers are timed once."""
        return LayerReport(name, self.macs, self.cycles, self.utilization, self.dram_bytes, self.tiling)

    @property
    def total_cycles(self) -> int:
        """Cycles of all causes."""
        return sum(self.cycles.values())

    @property
    def stall_cycles(self) -> int:
        """Cycles in which array or vector unit wait."""
        return sum(self.cycles[name] for name in STALLS)

    def row(self) -> dict[str, str | int | float]:
        """The columns of `hwsim cycles`; work of the vector unit counts as compute."""
        return {
            "layer": self.layer,
            "macs": self.macs,
            "compute_cycles": self.cycles["compute"] + self.cycles["vector"],
            "fill_drain_cycles": self.cycles["fill_drain"],
            "weight_load_cycles": self.cycles["weight_load"],
            "stall_cycles": self.stall_cycles,
            "total_cycles": self.total_cycles,
            "utilization": round(self.utilization, 6),
            "dram_bytes": self.dram_bytes,
        }

    def all_causes(self) -> dict[str, str | int | float]:
        """One column per cause, then the total."""
        return {"layer": self.layer, **self.cycles, "total_cycles": self.total_cycles}


def total_row(reports: Sequence[LayerReport], causes: bool = False) -> dict[str, str | int | float]:
    """The row below all layers: sums, and the utilization of the whole."""
    rows = [report.all_causes() if causes else report.row() for report in reports]
    total: dict[str, str | int | float] = {"layer": "total"}
    for column in list(rows[0])[1:]:
        total[column] = sum(row[column] for row in rows)  # type: ignore[misc]
    if "utilization" in total:
        cycles = max(1, sum(report.total_cycles for report in reports))
        total["utilization"] = round(sum(r.utilization * r.total_cycles for r in reports) / cycles, 6)
    return total


def layer_reports(
    accelerator: Accelerator, workload: Network | Iterable[tuple[str, Product]], batch: int = 1
) -> list[LayerReport]:
    """Cycles, utilization and DRAM traffic of every layer; of a network with regions at full width everywhere.

    Raises Infeasible, naming the layer, when one cannot run.

    >>> from hwsim.network.product import conv_product
    >>> from hwsim.registry import build
    >>> (report,) = analyse(build("accelerator", "tiny"), [("conv", conv_product(1, 8, 8, 8))])
    >>> report.total_cycles == sum(report.cycles.values())
    True
    """
    if batch < 1:
        raise BadInput("batch", batch, "1 or more")
    layers = _network(workload, accelerator) if isinstance(workload, Network) else _products(workload)
    reports = []
    for name, product, entries in layers:
        if product is None:
            cycles, counts = entries
            reports.append(_report(name, 0, *_scaled(cycles, counts, batch), accelerator))
            continue
        try:
            report = _product_report(accelerator, product, batch)
        except Infeasible as error:
            raise Infeasible(f"layer {name!r}: {error}") from None
        reports.append(report.under(name))
    return reports


@cached(1024)
def _product_report(accelerator: Accelerator, product: Product, batch: int) -> LayerReport:
    """Equal layers are timed once."""
    mapping = derive_mapping(accelerator, product, batch)
    cycles, counts = product_layer(accelerator, mapping)
    return _report("", product.macs * batch, cycles, counts, accelerator, mapping.tiling)


Line = tuple[str, Product | None, tuple[Entries, Entries]]


def _products(workload: Iterable[tuple[str, Product]]) -> Sequence[Line]:
    return [(name, product, ({}, {})) for name, product in workload]


def _network(network: Network, accelerator: Accelerator) -> Sequence[Line]:
    found: list[Line] = []
    for layer in network.layers:
        if not layer.has_macs:
            found.append((layer.name, None, vector_layer(network, layer, accelerator)))
            continue
        for name, part in width_groups(layer):
            check_layer(network, part, accelerator)
            found.append((name, as_product(network, part), ({}, {})))
    return found


def _scaled(cycles: Entries, counts: Entries, batch: int) -> tuple[Entries, Entries]:
    """The vector unit takes one sample after the other."""
    return {k: v * batch for k, v in cycles.items()}, {k: v * batch for k, v in counts.items()}


def _report(
    name: str, macs: int, cycles: Entries, counts: Entries, accelerator: Accelerator, tiling: Tiling | None = None
) -> LayerReport:
    by_cause = {cause: _number(cycles.get(cause, 0)) for cause in CAUSES}
    total = max(1, sum(by_cause.values()) * accelerator.pes)
    bits = _number(counts.get("dram_read_bits", 0)) + _number(counts.get("dram_write_bits", 0))
    return LayerReport(name, macs, by_cause, _number(counts.get("pe_busy_cycles", 0)) / total, -(-bits // 8), tiling)


def _number(value: int | NDArray[np.int64]) -> int:
    """The one number of all samples."""
    return value if isinstance(value, int) else int(value.item())
