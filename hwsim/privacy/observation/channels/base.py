"""Deployed models, and the base class of the channels through which an adversary observes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.network.fixed_point import fixed_point
from hwsim.registry import Configurable


class RunLike(Protocol):
    """The part of a simulator's run that channels read."""

    @property
    def outputs(self) -> NDArray[Any]:
        """Raw outputs [sample, class]."""

    @property
    def logit_scale(self) -> float:
        """Scale of the outputs: a logit is an output times this number."""

    @property
    def latency_cycles(self) -> NDArray[np.int64]:
        """Cycles per sample."""

    @property
    def masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Sensitive regions by layer name: [sample, row, column], or [sample, channel, row, column]."""


class CostLike(Protocol):
    """The part of a run's cost that channels read."""

    @property
    def total_energy_pj(self) -> NDArray[np.float64]:
        """Energy per sample."""


@dataclass(frozen=True, eq=False)
class HardwareRun:
    """A run on an accelerator and its cost."""

    run: RunLike
    cost: CostLike


@dataclass(frozen=True, eq=False)
class DeployedModel:
    """One model under observation, queried once per sample.

    Attributes
    ----------
    outputs : [sample, class], raw integers of an accelerator or real logits of a full-precision model
    scale : real value of one unit of `outputs`
    full_scale : largest output, in units of `outputs`, that an output port narrower than the accumulator
        represents; set from calibration samples, None where no narrow port is read
    chip : the run on the accelerator, None for a model that runs on none
    collected : arrays of the channels that take more than one query, by channel name
    seed : seed of the noise of the meters
    """

    outputs: NDArray[Any]
    scale: float = 1.0
    full_scale: float | None = None
    chip: HardwareRun | None = None
    collected: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seed: int = 0

    @property
    def logits(self) -> NDArray[np.float64]:
        """Real logits, float64 [sample, class]."""
        return self.outputs.astype(np.float64) * float(self.scale)

    def port(self, bits: int) -> tuple[NDArray[np.int64], float]:
        """Return the codes int64 [sample, class] of an output port of `bits`, and the scale of a code.

        Integer outputs are requantized as in every layer (HQ1: multiply, round half up, shift, clip).
        Real logits are rounded and clipped alike. Raises BadInput without a full scale.
        """
        if self.full_scale is None:
            raise BadInput(
                "channels", f"an output port of {bits} bits", "one with a full scale, from calibration samples"
            )
        max_code = 2 ** (bits - 1) - 1
        step = (self.full_scale or 1.0) / max_code  # a full scale of 0 (all outputs zero) has no step of its own
        if np.issubdtype(self.outputs.dtype, np.integer):
            multiplier, shift = fixed_point(1 / step)
            half = (1 << shift) >> 1
            codes = (self.outputs.astype(np.int64) * multiplier + half) >> shift
        else:
            codes = np.floor(np.clip(self.outputs / step, -(2.0**40), 2.0**40) + 0.5).astype(np.int64)
        return np.clip(codes, -max_code - 1, max_code), step * float(self.scale)


class Channel(Configurable):
    """Base of the channels: `read` takes one array [sample, ...] from a deployed model."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """Return the channel's values, [sample, ...]; raises HwsimError where the model has no such channel."""
