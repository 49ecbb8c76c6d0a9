"""What every channel in the registry promises."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hwsim.privacy.observation.channels.outputs import DeployedModel, HardwareRun, MultiQueryChannel
from hwsim.privacy.observation.observe import observe_model
from hwsim.registry import build, family

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


def deployed() -> DeployedModel:
    """A model on a chip for which every channel that takes more than one query was supplied."""
    supplied = {
        n: np.zeros((SAMPLES, 2)) for n, r in family("channel").items() if issubclass(r.factory, MultiQueryChannel)
    }
    run = FakeRun()
    return DeployedModel(run.outputs, run.logit_scale, full_scale=16.0, chip=HardwareRun(run, run), supplied=supplied)


@pytest.mark.parametrize("name", sorted(family("channel")))
def test_it_has_one_finite_row_per_sample(name: str) -> None:
    values = observe_model(deployed(), [name]).channels[name]
    assert len(values) == SAMPLES
    assert values.dtype in (np.uint8, np.int64, np.float64)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("name", sorted(family("channel")))
def test_it_is_known_by_the_name_in_the_registry(name: str) -> None:
    assert build("channel", name).name == name
