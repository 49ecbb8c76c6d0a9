"""What an adversary sees of a deployment: one named channel per column, one row per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput, HwsimError
from hwsim.registry import Choice, build, register

_WHERE = "channels"


class Run(Protocol):
    """The part of a simulator's run that channels read."""

    @property
    def outputs(self) -> NDArray[Any]:
        """Raw outputs [sample, class]."""

    @property
    def logit_scale(self) -> float:
        """Real value of one unit of the outputs."""

    @property
    def latency_cycles(self) -> NDArray[np.int64]:
        """Cycles per sample."""

    @property
    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Sensitive regions by layer name: [sample, row, column], or [sample, channel, row, column]."""


class Cost(Protocol):
    """The part of a priced run that channels read."""

    @property
    def total_energy_pj(self) -> NDArray[np.float64]:
        """Energy per sample."""


class Channel(Choice):
    """Base of the channels: `read` takes one array [sample, ...] from a priced run."""

    def read(self, run: Run, cost: Cost) -> NDArray[Any]:
        """The channel's values, [sample, ...]."""
        raise NotImplementedError


class OutputChannel(Channel):
    """Base of the channels that need the outputs alone, so that a model that runs on no chip has them too."""

    def of(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """The channel's values, [sample, ...], of real logits [sample, class]."""
        raise NotImplementedError

    def read(self, run: Run, cost: Cost) -> NDArray[Any]:
        """The channel's values, [sample, ...]."""
        return self.of(run.outputs.astype(np.float64) * float(run.logit_scale))


@register("channel", "logits", citation="N. Carlini et al., Membership Inference Attacks From First Principles, 2022")
class Logits(OutputChannel):
    """The real-valued class scores, float64 [sample, class]: raw integer outputs times the logit scale."""

    def of(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """The logits as they are."""
        return logits


@register("channel", "probabilities", citation="R. Shokri et al., Membership Inference Attacks, IEEE S&P 2017")
class Probabilities(OutputChannel):
    """The softmax of the logits, float64 [sample, class]."""

    def of(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """The softmax."""
        return softmax(logits)


@register("channel", "label", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018 (gap attack)")
class Label(OutputChannel):
    """The predicted class, int64 [sample]; of equal scores the first class wins."""

    def of(self, logits: NDArray[np.float64]) -> NDArray[Any]:
        """The class with the largest logit."""
        return np.asarray(logits.argmax(axis=1), dtype=np.int64)


@register(
    "channel", "latency_cycles", citation="Z. Li et al., Auditing Membership Leakages of Multi-Exit Networks, CCS 2022"
)
class LatencyCycles(Channel):
    """The cycles that the accelerator took, int64 [sample]."""

    def read(self, run: Run, cost: Cost) -> NDArray[Any]:
        """Cycles per sample."""
        return np.asarray(run.latency_cycles, dtype=np.int64)


@register("channel", "energy_pj", citation="Own definition: total energy of one inference as the simulator prices it")
class EnergyPj(Channel):
    """The energy that the accelerator took in pJ, float64 [sample]."""

    def read(self, run: Run, cost: Cost) -> NDArray[Any]:
        """Energy per sample."""
        return np.asarray(cost.total_energy_pj, dtype=np.float64)


@register("channel", "sensitive_regions", citation="Own definition, after Z. Song et al., DRQ, ISCA 2020")
class SensitiveRegions(Channel):
    """How many regions ran at high precision, over all layers, int64 [sample]; zero where none is dynamic."""

    def read(self, run: Run, cost: Cost) -> NDArray[Any]:
        """Regions per sample."""
        count = np.zeros(len(run.outputs), dtype=np.int64)
        for mask in run.masks.values():
            count += mask.reshape(len(mask), -1).sum(axis=1, dtype=np.int64)
        return count


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


def observe(run: Run, cost: Cost, channels: Sequence[str]) -> Observation:
    """Read the named channels of one deployed model, one query per sample.

    `run` and `cost` are what the simulator and its price list gave. Raises UnknownName for a
    channel that does not exist.
    """
    seen = {name: build("channel", name, where=_WHERE).read(run, cost) for name in channels}
    return Observation(seen, f"one query per sample on the accelerator; reads {', '.join(seen)}")


def observe_floats(logits: NDArray[np.floating[Any]], channels: Sequence[str]) -> Observation:
    """Read the named channels of a full-precision reference model, which runs on no accelerator.

    `logits` is [sample, class]. Raises HwsimError for a channel that only a chip has, such as latency.

    >>> observe_floats(np.array([[0.0, 2.0]]), ["label"]).channels["label"].tolist()
    [1]
    """
    seen: dict[str, NDArray[Any]] = {}
    for name in channels:
        channel = build("channel", name, where=_WHERE)
        if not isinstance(channel, OutputChannel):
            raise HwsimError(f"{_WHERE}: a full-precision model runs on no accelerator, so it has no {name!r}")
        seen[name] = channel.of(logits.astype(np.float64))
    return Observation(seen, f"one query per sample of the full-precision model; reads {', '.join(seen)}")


def stack(observations: Sequence[Observation]) -> Mapping[str, NDArray[Any]]:
    """The channels of many models as arrays [model, sample, ...]; raises BadInput when they do not match."""
    first = observations[0].channels
    for model, observation in enumerate(observations):
        shapes = {name: values.shape for name, values in observation.channels.items()}
        if shapes != {name: values.shape for name, values in first.items()}:
            raise BadInput(f"observations[{model}]", str(shapes), "the channels and shapes of observations[0]")
    return {name: np.stack([o.channels[name] for o in observations]) for name in first}


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [..., class] in float64, shifted by the largest logit so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0])).tolist()
    [0.5, 0.5]
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities
