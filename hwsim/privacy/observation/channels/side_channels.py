"""Side channels of an accelerator: latency, energy, and the trace of the precision masks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import HwsimError
from hwsim.privacy.observation.channels.base import Channel, DeployedModel, HardwareRun, RunLike
from hwsim.registry import register
from hwsim.rng import stream

_DRQ = "Own definition, after Z. Song et al., DRQ, ISCA 2020"


class HardwareChannel(Channel):
    """Base of the side channels, which exist only for a model on an accelerator."""

    @abstractmethod
    def exact(self, chip: HardwareRun) -> NDArray[Any]:
        """Return the channel's exact values, [sample, ...]."""

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """Return the values that the adversary reads."""
        if deployed.chip is None:
            raise HwsimError(f"channels: a full-precision model runs on no accelerator, so it has no {self.name!r}")
        return self.exact(deployed.chip)


class MeteredChannel(HardwareChannel):
    """Base of the channels read by a meter: noise is added, then the reading is rounded to the resolution."""

    noise: float = Field(0.0, ge=0, description="standard deviation of Gaussian noise, in the unit of the channel")
    resolution: float = Field(0.0, ge=0, description="smallest step of the meter in the unit of the channel; 0 = exact")

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """Return the readings, one per sample; each model and channel has its own noise."""
        exact = super().read(deployed)
        if not self.noise and not self.resolution:
            return exact
        reading = exact.astype(np.float64)
        if self.noise:
            reading = reading + self.noise * stream(deployed.seed, "meter", self.name).standard_normal(len(exact))
        return np.round(reading / self.resolution) * self.resolution if self.resolution else reading


@register(
    "channel",
    "latency_cycles",
    citation="Z. Li et al., Auditing Membership Leakages of Multi-Exit Networks, CCS 2022",
)
class LatencyCycles(MeteredChannel):
    """Cycles of the accelerator, [sample]: int64, or float64 through a meter with noise or resolution."""

    name = "latency_cycles"

    def exact(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Return the cycles per sample."""
        return np.asarray(chip.run.latency_cycles, dtype=np.int64)


@register("channel", "energy_pj", citation="Own definition: total energy of one inference as the simulator prices it")
class EnergyPj(MeteredChannel):
    """Energy of the accelerator in pJ, float64 [sample]."""

    name = "energy_pj"

    def exact(self, chip: HardwareRun) -> NDArray[np.float64]:
        """Return the energy per sample."""
        return np.asarray(chip.cost.total_energy_pj, dtype=np.float64)


@register("channel", "sensitive_regions", citation=_DRQ)
class SensitiveRegions(HardwareChannel):
    """Number of regions at high precision over all layers, int64 [sample]; zero without dynamic layers."""

    name = "sensitive_regions"

    def exact(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Return the regions per sample."""
        total: NDArray[np.int64] = _regions_by_layer(chip.run).sum(axis=1)
        return total


@register("channel", "region_counts", citation=_DRQ)
class RegionCounts(HardwareChannel):
    """Number of regions at high precision in each dynamic layer, int64 [sample, layer]; one zero without any."""

    name = "region_counts"

    def exact(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Return the regions per sample and layer."""
        return _regions_by_layer(chip.run)


@register("channel", "precision_map", citation=_DRQ)
class PrecisionMap(HardwareChannel):
    """The regions at high precision, uint8 [sample, region] over all layers: a trace of the mask bus.

    One zero per sample without dynamic layers.
    """

    name = "precision_map"

    def exact(self, chip: HardwareRun) -> NDArray[np.uint8]:
        """Return one bit per region."""
        samples = len(chip.run.outputs)
        masks = [mask.reshape(samples, -1) for mask in chip.run.masks.values()]
        return np.concatenate(masks or [np.zeros((samples, 1), dtype=np.bool_)], axis=1).astype(np.uint8)


def _regions_by_layer(run: RunLike) -> NDArray[np.int64]:
    """Return the number of sensitive regions, int64 [sample, layer]; one column of zeros without dynamic layers."""
    samples = len(run.outputs)
    counts = [mask.reshape(samples, -1).sum(axis=1, dtype=np.int64) for mask in run.masks.values()]
    return np.stack(counts or [np.zeros(samples, dtype=np.int64)], axis=1)
