"""Run: outputs, cycles and event counts of a network on an accelerator, in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS

Ints = NDArray[np.int64]

_SLOWEST = 5


@dataclass(frozen=True)
class Precision:
    """Operand widths of one layer; `low_bits` where it has region precision."""

    a_bits: int
    w_bits: int
    low_bits: int | None = None


@dataclass(frozen=True, eq=False)
class Activity:
    """Switching activity of the array; -1 for layers whose input was not captured.

    Attributes
    ----------
    operand : int64 [sample, layer], over all PEs and cycles: bits of the activation register that change, times
        ones in the weight
    psum : int64 [sample, layer], bits that change in the partial sums that enter and leave a PE, estimated from a
        sample of PEs and cycles
    psum_error : float64 [layer], relative standard error of `psum`
    """

    operand: Ints
    psum: Ints
    psum_error: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """Outputs, cycles and counts of a network on an accelerator; integers only.

    `rows` is the number of samples where anything depends on the data, else 1: one row for all samples.
    `print(run)` shows one screen.

    Attributes
    ----------
    outputs : int32 [sample, class]
    layers : names
    cycles : int64 [rows, layer, cause], causes as in `hwsim.machine.events.CAUSES`
    counts : int64 [rows, layer, event], events as in `hwsim.machine.events.EVENTS`
    masks : sensitive regions by layer, bool [sample, ...]
    accelerator : the accelerator
    logit_scale : real value of one unit of the outputs
    precisions : operand widths of each layer with MACs, else None
    activity : switching activity, where values were captured
    """

    outputs: NDArray[np.int32]
    layers: tuple[str, ...]
    cycles: Ints
    counts: Ints
    masks: Mapping[str, NDArray[np.bool_]]
    accelerator: Accelerator
    logit_scale: float
    precisions: tuple[Precision | None, ...]
    activity: Activity | None = None

    @property
    def samples(self) -> int:
        """Number of samples."""
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

    def breakdown(self) -> dict[str, float]:
        """Return the mean cycles of a sample by cause, over all layers; causes without cycles are left out."""
        mean = self.cycles.sum(axis=1).mean(axis=0) if len(self.cycles) else np.zeros(len(CAUSES))
        return {cause: float(cycles) for cause, cycles in zip(CAUSES, mean, strict=True) if cycles}

    def __str__(self) -> str:
        """One screen: accelerator, latency, cycles by cause, and the slowest layers."""
        causes = self.breakdown()
        total = sum(causes.values())
        lines = [
            f"Run of {len(self.layers)} layers, {self.samples} samples",
            f"  {self.accelerator.describe()}",
            f"  latency {total:,.0f} cycles, {total / self.accelerator.clock_hz * 1e6:,.1f} us (mean of a sample)",
        ]
        lines += [
            f"    {cause:22} {cycles:14,.0f} {cycles / total:7.1%}"
            for cause, cycles in sorted(causes.items(), key=lambda item: -item[1])
        ]
        by_layer = self.cycles.sum(axis=2).mean(axis=0) if len(self.cycles) else np.zeros(len(self.layers))
        slowest = np.argsort(-by_layer, kind="stable")[:_SLOWEST]
        lines.append(f"  slowest {len(slowest)} layers")
        lines += [f"    {self.layers[i]:22} {by_layer[i]:14,.0f} {by_layer[i] / max(total, 1):7.1%}" for i in slowest]
        return "\n".join(lines)

    @property
    def mapping_efficiency(self) -> NDArray[np.float64]:
        """Busy PE cycles over all PE cycles of the compute cycles: float64 [rows, layer], 0 without MACs."""
        return self._share_of_pes(self.cause("compute"))

    @property
    def utilization(self) -> NDArray[np.float64]:
        """Busy PE cycles over all PE cycles of the layer, whatever the cause: float64 [rows, layer]."""
        return self._share_of_pes(self.cycles.sum(axis=2))

    def _share_of_pes(self, cycles: Ints) -> NDArray[np.float64]:
        array = self.accelerator.array
        return self.event("pe_busy_cycles") / np.maximum(1, cycles * (array.rows * array.cols))


def join(runs: Sequence[Run]) -> Run:
    """Join the samples of several runs of one network on one accelerator.

    The relative standard error of a toggle estimate becomes that of the sum; all parts were sampled at
    the same PEs and cycles, so that errors add up.
    """
    first = runs[0]
    if len(runs) == 1:
        return first
    varies = any(len(run.cycles) == run.samples > 1 for run in runs)
    return replace(
        first,
        outputs=np.concatenate([run.outputs for run in runs]),
        cycles=np.concatenate([run.cycles for run in runs]) if varies else first.cycles,
        counts=np.concatenate([run.counts for run in runs]) if varies else first.counts,
        masks={name: np.concatenate([run.masks[name] for run in runs]) for name in first.masks},
        activity=_join_activity([run.activity for run in runs if run.activity is not None]),
    )


def _join_activity(parts: Sequence[Activity]) -> Activity | None:
    if not parts:
        return None
    psum = np.concatenate([part.psum for part in parts])
    errors = sum(part.psum_error * part.psum.sum(axis=0) for part in parts)
    return Activity(
        operand=np.concatenate([part.operand for part in parts]),
        psum=psum,
        psum_error=errors / np.maximum(1, psum.sum(axis=0)),
    )
