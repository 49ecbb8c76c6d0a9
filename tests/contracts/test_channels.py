"""Contract of every channel in the registry."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hwsim.privacy.observation.channels.base import DeployedModel, HardwareRun
from hwsim.privacy.observation.channels.multi_query import MultiQueryChannel
from hwsim.privacy.observation.observe import observe_model
from hwsim.registry import build, family

SAMPLES, CLASSES = 7, 3


@dataclass
class FakeRun:
    """The attributes of a run and of its cost that channels read."""

    outputs: np.ndarray = field(
        default_factory=lambda: np.arange(SAMPLES * CLASSES, dtype=np.int32).reshape(SAMPLES, CLASSES)
    )
    logit_scale: float = 0.25
    latency_cycles: np.ndarray = field(default_factory=lambda: np.full(SAMPLES, 90, dtype=np.int64))
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    total_energy_pj: np.ndarray = field(default_factory=lambda: np.full(SAMPLES, 1.5))


def deployed() -> DeployedModel:
    """A model on an accelerator with an array for every channel of several queries."""
    collected = {
        n: np.zeros((SAMPLES, 2)) for n, r in family("channel").items() if issubclass(r.factory, MultiQueryChannel)
    }
    run = FakeRun()
    return DeployedModel(run.outputs, run.logit_scale, full_scale=16.0, chip=HardwareRun(run, run), collected=collected)


@pytest.mark.parametrize("name", sorted(family("channel")))
def test_it_has_one_finite_row_per_sample(name: str) -> None:
    values = observe_model(deployed(), [name]).channels[name]
    assert len(values) == SAMPLES
    assert values.dtype in (np.uint8, np.int64, np.float64)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("name", sorted(family("channel")))
def test_it_is_known_by_the_name_in_the_registry(name: str) -> None:
    assert build("channel", name).name == name
