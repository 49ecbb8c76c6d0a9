"""What an adversary sees of a deployment: one named channel per column, one row per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.observation.channels.outputs import Channel, Cost, DeployedModel, HardwareRun, Run
from hwsim.registry import build

_WHERE = "channels"


@dataclass(frozen=True, eq=False)
class Observation:
    """What the adversary sees of one model: channel name -> array [sample, ...], and the threat model in words.

    Raises BadInput when a channel is not finite or the channels differ in their number of samples.
    """

    channels: Mapping[str, NDArray[Any]]
    threat: str

    def __post_init__(self) -> None:
        if not self.channels:
            raise BadInput(_WHERE, "none", "at least one channel")
        for name, values in self.channels.items():
            if len(values) != self.samples:
                raise BadInput(f"{_WHERE}.{name}", f"{len(values)} samples", f"{self.samples}, as in the first channel")
            if not np.isfinite(values).all():
                raise BadInput(f"{_WHERE}.{name}", "NaN or infinity", "finite values")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.channels.values())))


def observe_model(deployed: DeployedModel, channels: Sequence[Channel | str]) -> Observation:
    """Read channels of one deployed model; a name stands for the channel with its defaults.

    Raises UnknownName for a channel that does not exist, and HwsimError for one that the model does
    not show, such as the latency of a model that runs on no chip.
    """
    chosen = [build("channel", c, where=_WHERE) if isinstance(c, str) else c for c in channels]
    seen = {channel.name: channel.read(deployed) for channel in chosen}
    place = "of the full-precision model" if deployed.chip is None else "on the accelerator"
    told = ", ".join(_told(channel) for channel in chosen)
    return Observation(seen, f"one query per sample {place}; reads {told}")


def _told(channel: Channel) -> str:
    """The channel's name with the parameters that are not its defaults."""
    fields = type(channel).model_fields
    changed = [f"{key}={v}" for key, v in channel.model_dump().items() if v != fields[key].default]
    return f"{channel.name} ({', '.join(changed)})" if changed else channel.name


def observe(run: Run, cost: Cost, channels: Sequence[Channel | str]) -> Observation:
    """Read channels of one run and its cost, one query per sample; see `look` for what else there is to see."""
    return observe_model(DeployedModel(run.outputs, run.logit_scale, chip=HardwareRun(run, cost)), channels)


def observe_floats(logits: NDArray[np.floating[Any]], channels: Sequence[Channel | str]) -> Observation:
    """Read channels of a full-precision reference model, which runs on no accelerator.

    `logits` is [sample, class].

    >>> observe_floats(np.array([[0.0, 2.0]]), ["label"]).channels["label"].tolist()
    [1]
    """
    return observe_model(DeployedModel(logits.astype(np.float64)), channels)


def stack(observations: Sequence[Observation]) -> Mapping[str, NDArray[Any]]:
    """The channels of many models as arrays [model, sample, ...]; raises BadInput when they do not match.

    A channel that is one and the same array for all models, such as the inputs, is not copied.
    """
    first = observations[0].channels
    for model, observation in enumerate(observations):
        shapes = {name: values.shape for name, values in observation.channels.items()}
        if shapes != {name: values.shape for name, values in first.items()}:
            raise BadInput(f"observations[{model}]", str(shapes), "the channels and shapes of observations[0]")
    return {name: _together([o.channels[name] for o in observations]) for name in first}


def _together(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if all(array is arrays[0] for array in arrays):
        return np.broadcast_to(arrays[0], (len(arrays), *arrays[0].shape))
    return np.stack(arrays)
