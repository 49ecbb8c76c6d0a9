"""Run: what a network did on an accelerator, in integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Precision:
    """Operand widths of one layer; `low_bits` where it has region precision."""

    a_bits: int
    w_bits: int
    low_bits: int | None = None


@dataclass(frozen=True, eq=False)
class Activity:
    """What toggles in the array: int64 [sample, layer] each, -1 for layers that were not watched.

    operand: over all PEs and cycles, bits of the activation register that change times ones in the
    weight; psum: bits that change in the partial sums that enter and leave, estimated from a sample of
    PEs and cycles with the relative standard error `psum_error` float64 [layer].
    """

    operand: Ints
    psum: Ints
    psum_error: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """Outputs, cycles and counts of a network on an accelerator; integers only.

    outputs int32 [sample, class]; cycles int64 [rows, layer, cause]; counts int64 [rows, layer, event];
    `rows` is the number of samples where anything depends on the data, else 1, and that row serves all
    samples. `masks` are the sensitive regions by layer, `precisions` the widths of each layer with MACs,
    `activity` what toggles, where values were watched.
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
    def overall_utilization(self) -> NDArray[np.float64]:
        """Busy PE cycles over all PE cycles of the layer, whatever the cause: float64 [rows, layer]."""
        return self._share_of_pes(self.cycles.sum(axis=2))

    def _share_of_pes(self, cycles: Ints) -> NDArray[np.float64]:
        array = self.accelerator.array
        return self.event("pe_busy_cycles") / np.maximum(1, cycles * (array.rows * array.cols))


def join(runs: Sequence[Run]) -> Run:
    """One run of the samples of all `runs`, which are of one network on one accelerator.

    The relative standard error of a toggle estimate becomes that of the sum; all parts were sampled at
    the same places, so that errors add up.
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
