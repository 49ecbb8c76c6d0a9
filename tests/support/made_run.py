"""Runs with given counts and without a network, for tests of costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwsim.machine.description.accelerator import Accelerator
from hwsim.machine.events import CAUSES, EVENTS
from hwsim.machine.run import Activity, Precision, Run

Layers = Sequence[Mapping[str, int]]


def made_run(
    accelerator: Accelerator,
    counts: Layers,
    precisions: Sequence[Precision | None],
    cycles: Sequence[int] | None = None,
    samples: int = 1,
    activity: Activity | None = None,
) -> Run:
    """Return a run of layers with these counts by event and these compute cycles, equal for all samples."""
    return Run(
        outputs=np.zeros((samples, 1), np.int32),
        layers=tuple(f"layer{i}" for i in range(len(counts))),
        cycles=_table([{"compute": of_layer} for of_layer in cycles or [0] * len(counts)], CAUSES),
        counts=_table(counts, EVENTS),
        masks={},
        accelerator=accelerator,
        logit_scale=1.0,
        precisions=tuple(precisions),
        activity=activity,
    )


def _table(layers: Layers, names: tuple[str, ...]) -> np.ndarray:
    return np.array([[[layer.get(name, 0) for name in names] for layer in layers]], dtype=np.int64)
