"""Run: what a network did on an accelerator, in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.accelerator import Accelerator

Ints = NDArray[np.int64]

CAUSES = ("compute", "fill_drain", "weight_load", "memory_stall", "vector")
"""Every cycle of a layer has exactly one cause.

compute: the array takes streaming operands; fill_drain: skew in and results out; weight_load: weights
into the PEs; memory_stall: waiting for DRAM; vector: what the vector unit does.
"""

EVENTS = (
    "macs_full",
    "macs_low",
    "pe_cycles",
    "pe_busy_cycles",
    "ifmap_read_bits",
    "ifmap_write_bits",
    "weight_read_bits",
    "weight_write_bits",
    "ofmap_read_bits",
    "ofmap_write_bits",
    "dram_read_bits",
    "dram_write_bits",
    "vector_ops",
    "requantizations",
    "predictor_adds",
)
"""What is counted. macs_low: products at the low width of region precision; pe_cycles: PEs times cycles
in which the array is clocked (it is not while it waits for DRAM); pe_busy_cycles: those in which a PE
has a product; vector_ops: operands of the vector unit; requantizations: multiplications by a
requantizer; predictor_adds: codes summed and regions compared to find the sensitive ones."""


@dataclass(frozen=True)
class Precision:
    """Operand widths of one layer; `low_bits` where it has region precision."""

    a_bits: int
    w_bits: int
    low_bits: int | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """Outputs, cycles and counts of a network on an accelerator; integers only.

    outputs int32 [sample, class]; cycles int64 [rows, layer, cause]; counts int64 [rows, layer, event];
    `rows` is the number of samples where anything depends on the data, else 1, and that row serves all
    samples. `masks` are the sensitive regions by layer, `precisions` the widths of each layer with MACs.
    """

    outputs: NDArray[np.int32]
    layers: tuple[str, ...]
    cycles: Ints
    counts: Ints
    masks: Mapping[str, NDArray[np.bool_]]
    accelerator: Accelerator
    logit_scale: float
    precisions: tuple[Precision | None, ...]

    @property
    def samples(self) -> int:
        """Number of inputs."""
        return len(self.outputs)

    @property
    def latency_cycles(self) -> Ints:
        """Cycles from first fetch to last output of each sample: int64 [sample]."""
        return np.broadcast_to(self.cycles.sum(axis=(1, 2)), self.samples)

    def cause(self, name: str) -> Ints:
        """Cycles of one cause: int64 [rows, layer]."""
        return self.cycles[:, :, CAUSES.index(name)]

    def event(self, name: str) -> Ints:
        """Counts of one event: int64 [rows, layer]."""
        return self.counts[:, :, EVENTS.index(name)]

    @property
    def mapping_efficiency(self) -> NDArray[np.float64]:
        """Busy PE cycles over all PE cycles of the compute cycles: float64 [rows, layer], 0 without MACs."""
        return self._share_of_pes(self.cause("compute"))

    @property
    def overall_utilisation(self) -> NDArray[np.float64]:
        """Busy PE cycles over all PE cycles of the layer, whatever the cause: float64 [rows, layer]."""
        return self._share_of_pes(self.cycles.sum(axis=2))

    def _share_of_pes(self, cycles: Ints) -> NDArray[np.float64]:
        array = self.accelerator.array
        return self.event("pe_busy_cycles") / np.maximum(1, cycles * (array.rows * array.cols))
