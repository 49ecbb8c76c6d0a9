"""What every channel in the registry promises."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hwsim.privacy import observe
from hwsim.registry import family

SAMPLES, CLASSES = 7, 3


@dataclass
class FakeRun:
    """What channels read of a run, and of its cost."""

    outputs: np.ndarray = field(
        default_factory=lambda: np.arange(SAMPLES * CLASSES, dtype=np.int32).reshape(SAMPLES, CLASSES)
    )
    logit_scale: float = 0.25
    latency_cycles: np.ndarray = field(default_factory=lambda: np.full(SAMPLES, 90, dtype=np.int64))
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    total_energy_pj: np.ndarray = field(default_factory=lambda: np.full(SAMPLES, 1.5))


@pytest.mark.parametrize("name", sorted(family("channel")))
def test_it_has_one_finite_row_per_sample(name: str) -> None:
    values = observe(FakeRun(), FakeRun(), [name]).channels[name]
    assert len(values) == SAMPLES
    assert values.dtype in (np.int64, np.float64)
    assert np.isfinite(values).all()
