"""Observations: the channels that an adversary reads of a deployed model, one row per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.observation.channels.base import Channel, CostLike, DeployedModel, HardwareRun, RunLike
from hwsim.registry import build

_WHERE = "channels"


@dataclass(frozen=True, eq=False)
class Observation:
    """Channels of one model, as an adversary reads them.

    Attributes
    ----------
    channels : channel name -> array [sample, ...]
    threat_model : the adversary's access in words
    logit_scale : real value of one unit of the channel `logits`, where these are the integers of an accelerator, such
        as `Run.logit_scale`; None where they are real. An audit multiplies the channel by it

    Raises BadInput when the scale is not greater than 0, a channel is not finite or the channels differ in their number
    of samples.

    >>> print(observe_floats(np.array([[0.0, 2.0], [1.0, 0.0]]), ["logits", "label"]))
    Observation of 2 samples: one query per sample of the full-precision model; reads logits, label
      logits  float64 [2, 2]
      label   int64 [2]
    """

    channels: Mapping[str, NDArray[Any]]
    threat_model: str
    logit_scale: float | None = None

    def __post_init__(self) -> None:
        if not self.channels:
            raise BadInput(_WHERE, "none", "at least one channel")
        if self.logit_scale is not None and not (np.isfinite(self.logit_scale) and self.logit_scale > 0):
            raise BadInput("logit_scale", self.logit_scale, "a finite number greater than 0")
        for name, values in self.channels.items():
            if len(values) != self.samples:
                raise BadInput(f"{_WHERE}.{name}", f"{len(values)} samples", f"{self.samples}, as in the first channel")
            if not np.isfinite(values).all():
                raise BadInput(f"{_WHERE}.{name}", "NaN or infinity", "finite values")

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.channels.values())))

    def __str__(self) -> str:
        width = max(len(name) for name in self.channels)
        return "\n".join(
            [
                f"Observation of {self.samples} samples: {self.threat_model}",
                *(f"  {name:<{width}}  {v.dtype} {list(v.shape)}" for name, v in self.channels.items()),
            ]
        )


def observe_model(deployed: DeployedModel, channels: Sequence[Channel | str]) -> Observation:
    """Read channels of one deployed model; a name stands for the channel with its default parameters.

    Raises UnknownName for a channel that does not exist, and HwsimError for a channel that the model lacks, such as
    the latency of a model that runs on no accelerator.
    """
    chosen = [build("channel", c, where=_WHERE) if isinstance(c, str) else c for c in channels]
    arrays = {channel.name: channel.read(deployed) for channel in chosen}
    place = "of the full-precision model" if deployed.chip is None else "on the accelerator"
    described = ", ".join(_description(channel) for channel in chosen)
    return Observation(arrays, f"one query per sample {place}; reads {described}")


def _description(channel: Channel) -> str:
    """Return the channel's name with the parameters that differ from their defaults."""
    fields = type(channel).model_fields
    changed = [f"{key}={v}" for key, v in channel.model_dump().items() if v != fields[key].default]
    return f"{channel.name} ({', '.join(changed)})" if changed else channel.name


def observe(run: RunLike, cost: CostLike, channels: Sequence[Channel | str]) -> Observation:
    """Read channels of one run and its cost, one query per sample; errors as in `observe_model`."""
    return observe_model(DeployedModel(run.outputs, run.logit_scale, chip=HardwareRun(run, cost)), channels)


def observe_floats(logits: NDArray[np.floating[Any]], channels: Sequence[Channel | str]) -> Observation:
    """Read channels of a full-precision reference model, which runs on no accelerator.

    `logits` is [sample, class].

    >>> observe_floats(np.array([[0.0, 2.0]]), ["label"]).channels["label"].tolist()
    [1]
    """
    return observe_model(DeployedModel(logits.astype(np.float64)), channels)


def stack(observations: Sequence[Observation]) -> Mapping[str, NDArray[Any]]:
    """Stack the channels of many models into arrays [model, sample, ...]; raises BadInput when they do not match.

    Logits are multiplied by the `logit_scale` of their observation. A channel that is the same array object for all
    models, such as the inputs, is not copied.
    """
    first = observations[0].channels
    for model, observation in enumerate(observations):
        shapes = {name: values.shape for name, values in observation.channels.items()}
        if shapes != {name: values.shape for name, values in first.items()}:
            raise BadInput(f"observations[{model}]", str(shapes), "the channels and shapes of observations[0]")
    return {name: _stack([_real(o, name) for o in observations]) for name in first}


def _real(observation: Observation, name: str) -> NDArray[Any]:
    """Return a channel in real units."""
    values = observation.channels[name]
    scaled = name == "logits" and observation.logit_scale is not None
    return values * np.float64(observation.logit_scale) if scaled else values  # type: ignore[arg-type]


def _stack(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if all(array is arrays[0] for array in arrays):
        return np.broadcast_to(arrays[0], (len(arrays), *arrays[0].shape))
    return np.stack(arrays)
