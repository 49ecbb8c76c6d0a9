"""What one query shows: each channel reads one array, a row per sample, of a deployed model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput, HwsimError
from hwsim.network.fixed_point import fixed_point
from hwsim.registry import Configurable, register
from hwsim.rng import stream

_CARLINI = "N. Carlini et al., Membership Inference Attacks From First Principles, 2022"
_MULTI_EXIT = "Z. Li et al., Auditing Membership Leakages of Multi-Exit Networks, CCS 2022"


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


@dataclass(frozen=True, eq=False)
class HardwareRun:
    """A run on an accelerator and its price."""

    run: Run
    cost: Cost


@dataclass(frozen=True, eq=False)
class DeployedModel:
    """One model as it is queried, once per sample: outputs, chip, and what further queries gave.

    `outputs` [sample, class] are raw integers of a chip or real logits of a full-precision model, in units
    of `scale`. `full_scale` is the largest output, in the same units, that an output port narrower than
    the accumulator can tell; the owner sets it from calibration samples. `chip` is None where the model
    runs on none. `supplied` holds the channels that take more than one query of the deployed model.
    `seed` fixes the noise of the meters.
    """

    outputs: NDArray[Any]
    scale: float = 1.0
    full_scale: float | None = None
    chip: HardwareRun | None = None
    supplied: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    seed: int = 0

    @property
    def logits(self) -> NDArray[np.float64]:
        """Real logits, float64 [sample, class]."""
        return self.outputs.astype(np.float64) * float(self.scale)

    def port(self, bits: int) -> tuple[NDArray[np.int64], float]:
        """Codes int64 [sample, class] of an output port of `bits`, and the real value of one code.

        The integers of a chip are requantized as every layer is (HQ1: multiply, round half up, shift,
        clip); real logits are rounded and clipped alike. Raises BadInput without a full scale.
        """
        if self.full_scale is None:
            raise BadInput(
                "channels", f"an output port of {bits} bits", "one with a full scale, from calibration samples"
            )
        most = 2 ** (bits - 1) - 1
        step = (self.full_scale or 1.0) / most  # a model that only ever said zero has no scale
        if np.issubdtype(self.outputs.dtype, np.integer):
            multiplier, shift = fixed_point(1 / step)
            half = (1 << shift) >> 1
            codes = (self.outputs.astype(np.int64) * multiplier + half) >> shift
        else:
            codes = np.floor(np.clip(self.outputs / step, -(2.0**40), 2.0**40) + 0.5).astype(np.int64)
        return np.clip(codes, -most - 1, most), step * float(self.scale)


class Channel(Configurable):
    """Base of the channels: `read` takes one array [sample, ...] of a deployed model."""

    name: ClassVar[str]

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """The channel's values, [sample, ...]; raises HwsimError where the model does not show it."""
        raise NotImplementedError


@register("channel", "logits", citation=_CARLINI)
class Logits(Channel):
    """The real-valued class scores, float64 [sample, class]: output integers times what one of them is worth.

    With 32 bits the raw accumulators leave the chip; with fewer the output port requantizes them to
    that many bits, saturating at the largest logit of the calibration samples.
    """

    name = "logits"

    bits: Literal[32, 16, 8, 4] = Field(32, description="width of the output port")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """The logits that pass the port."""
        if self.bits == 32:
            return deployed.logits
        codes, step = deployed.port(self.bits)
        shown: NDArray[np.float64] = codes * np.float64(step)
        return shown


@register("channel", "probabilities", citation="R. Shokri et al., Membership Inference Attacks, IEEE S&P 2017")
class Probabilities(Channel):
    """The softmax of the logits, float64 [sample, class].

    With `bits` = 64 a host computes it from the raw logits; with 8 the integer softmax of the chip does,
    from 8-bit logits, in units of 1/256.
    """

    name = "probabilities"

    bits: Literal[64, 8] = Field(64, description="64: softmax of a host in float64; 8: the chip's integer softmax")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """The probabilities that are shown."""
        return softmax(deployed.logits) if self.bits == 64 else _integer_softmax(*deployed.port(8))


@register("channel", "top_k", citation="A. Salem et al., ML-Leaks, NDSS 2019")
class TopK(Channel):
    """The k most probable classes with their probabilities, float64 [sample, k, 2]: (class, probability).

    From the largest down; of equal ones the smaller class first. k is at most the number of classes.
    """

    name = "top_k"

    k: int = Field(3, ge=1, le=1000, description="how many classes are shown")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """Classes and probabilities."""
        shown = softmax(deployed.logits)
        order = np.argsort(-shown, axis=1, kind="stable")[:, : self.k]
        return np.stack([order.astype(np.float64), np.take_along_axis(shown, order, axis=1)], axis=2)


@register("channel", "label", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018 (gap attack)")
class Label(Channel):
    """The predicted class, int64 [sample]; of equal scores the first class wins."""

    name = "label"

    def read(self, deployed: DeployedModel) -> NDArray[np.int64]:
        """The class with the largest logit."""
        return np.asarray(deployed.outputs.argmax(axis=1), dtype=np.int64)


class HardwareChannel(Channel):
    """Base of the side channels, which only a chip has."""

    def of(self, chip: HardwareRun) -> NDArray[Any]:
        """The channel's exact values, [sample, ...]."""
        raise NotImplementedError

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """What the adversary reads of them."""
        if deployed.chip is None:
            raise HwsimError(f"channels: a full-precision model runs on no accelerator, so it has no {self.name!r}")
        return self.of(deployed.chip)


class Metered(HardwareChannel):
    """Base of the channels that a meter reads: noise is added, then the reading rounded to the resolution."""

    noise: float = Field(0.0, ge=0, description="standard deviation of Gaussian noise, in the unit of the channel")
    resolution: float = Field(0.0, ge=0, description="smallest step of the meter in the unit of the channel; 0 = exact")

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """The readings, one per sample; each model and channel has its own noise."""
        exact = super().read(deployed)
        if not self.noise and not self.resolution:
            return exact
        reading = exact.astype(np.float64)
        if self.noise:
            reading = reading + self.noise * stream(deployed.seed, "meter", self.name).standard_normal(len(exact))
        return np.round(reading / self.resolution) * self.resolution if self.resolution else reading


@register("channel", "latency_cycles", citation=_MULTI_EXIT)
class LatencyCycles(Metered):
    """The cycles that the accelerator took, [sample]: int64, or float64 through a meter with noise or resolution."""

    name = "latency_cycles"

    def of(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Cycles per sample."""
        return np.asarray(chip.run.latency_cycles, dtype=np.int64)


@register("channel", "energy_pj", citation="Own definition: total energy of one inference as the simulator prices it")
class EnergyPj(Metered):
    """The energy that the accelerator took in pJ, float64 [sample]."""

    name = "energy_pj"

    def of(self, chip: HardwareRun) -> NDArray[np.float64]:
        """Energy per sample."""
        return np.asarray(chip.cost.total_energy_pj, dtype=np.float64)


_DRQ = "Own definition, after Z. Song et al., DRQ, ISCA 2020"


@register("channel", "sensitive_regions", citation=_DRQ)
class SensitiveRegions(HardwareChannel):
    """How many regions ran at high precision, over all layers, int64 [sample]; zero where none is dynamic."""

    name = "sensitive_regions"

    def of(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Regions per sample."""
        total: NDArray[np.int64] = _regions_by_layer(chip.run).sum(axis=1)
        return total


@register("channel", "region_counts", citation=_DRQ)
class RegionCounts(HardwareChannel):
    """How many regions of each dynamic layer ran at high precision, int64 [sample, layer]; one zero where none is."""

    name = "region_counts"

    def of(self, chip: HardwareRun) -> NDArray[np.int64]:
        """Regions per sample and layer."""
        return _regions_by_layer(chip.run)


@register("channel", "precision_map", citation=_DRQ)
class PrecisionMap(HardwareChannel):
    """Which regions ran at high precision, uint8 [sample, region] over all layers: a trace of the mask bus.

    One zero per sample where no layer is dynamic.
    """

    name = "precision_map"

    def of(self, chip: HardwareRun) -> NDArray[np.uint8]:
        """One bit per region."""
        rows = len(chip.run.outputs)
        parts = [mask.reshape(rows, -1) for mask in chip.run.masks.values()] or [np.zeros((rows, 1), dtype=np.bool_)]
        return np.concatenate(parts, axis=1).astype(np.uint8)


def _regions_by_layer(run: Run) -> NDArray[np.int64]:
    rows = len(run.outputs)
    counts = [mask.reshape(rows, -1).sum(axis=1, dtype=np.int64) for mask in run.masks.values()]
    return np.stack(counts or [np.zeros(rows, dtype=np.int64)], axis=1)


class MultiQueryChannel(Channel):
    """Base of the channels that take more than one query, or a second model: whoever plays the game supplies them."""

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """The array that was supplied."""
        if self.name not in deployed.supplied:
            given = ", ".join(deployed.supplied) or "nothing"
            raise BadInput("channels", f"{self.name}, and supplied is {given}", f"an array {self.name} [sample, ...]")
        return deployed.supplied[self.name]


@register("channel", "float_logits", citation="CompLeak, arXiv 2507.16872: an adversary who holds two versions")
class FloatLogits(MultiQueryChannel):
    """The logits of the full-precision model from which the network was quantized, float64 [sample, class]."""

    name = "float_logits"


@register("channel", "inputs", citation="The blind baseline: D. Das et al., arXiv 2406.16201")
class Inputs(MultiQueryChannel):
    """The samples themselves, float64 [sample, feature], as the adversary holds them to send them."""

    name = "inputs"


@register("channel", "augmented_labels", citation="C. Choquette-Choo et al., Label-Only MIA, ICML 2021")
class AugmentedLabels(MultiQueryChannel):
    """The labels of moved copies of each sample, int64 [sample, copy]; copy 0 is the sample as it is.

    Images are shifted by `shift` pixels in all, down and across, and turned by +-`degrees`; of feature vectors a share
    `flip` of the bits is flipped, or noise of that size added where features are no bits.
    """

    name = "augmented_labels"

    shift: int = Field(1, ge=0, le=8, description="pixels that an image is shifted by, down and across together")
    degrees: float = Field(9.0, ge=0, le=90, description="degrees that an image is turned by")
    flip: float = Field(0.05, gt=0, le=0.5, description="share of the bits of a feature vector that is flipped")
    copies: int = Field(8, ge=1, le=64, description="moved copies of a feature vector")


@register("channel", "boundary_distance", citation="C. Choquette-Choo et al. 2021; J. Chen et al., HopSkipJump, 2020")
class BoundaryDistance(MultiQueryChannel):
    """How far (L2) a sample must move until its label changes, float64 [sample], found from labels alone."""

    name = "boundary_distance"

    queries: int = Field(1000, ge=50, le=100_000, description="labels asked for per sample")


@register("channel", "loss_trajectory", citation="Y. Liu et al., Membership Inference by Loss Trajectory, CCS 2022")
class LossTrajectory(MultiQueryChannel):
    """Losses of a student that is distilled from the model, after each epoch: float64 [sample, epoch]."""

    name = "loss_trajectory"

    epochs: int = Field(25, ge=1, le=1000, description="epochs of distillation; the paper takes 100")


@register("channel", "adversarial_logits", citation="L. Song, R. Shokri and P. Mittal, CCS 2019")
class AdversarialLogits(MultiQueryChannel):
    """The deployed model's logits on inputs that PGD moved within the eps ball, float64 [sample, class]."""

    name = "adversarial_logits"

    eps: float = Field(0.03, gt=0, le=1, description="radius of the L-infinity ball; inputs lie in 0..1")
    steps: int = Field(10, ge=1, le=1000, description="steps of PGD")


@register("channel", "verified_logits", citation="L. Song, R. Shokri and P. Mittal, CCS 2019")
class VerifiedLogits(MultiQueryChannel):
    """Logits that are the worst in the eps ball, float64 [sample, class], by interval bounds.

    A lower bound for the sample's label and upper bounds for the other classes, of the
    full-precision model.
    """

    name = "verified_logits"

    eps: float = Field(0.03, gt=0, le=1, description="radius of the L-infinity ball; inputs lie in 0..1")


@register("channel", "transfer_records", citation="A. Salem et al., ML-Leaks, NDSS 2019, adversary 2")
class TransferRecords(MultiQueryChannel):
    """What an adversary learns from models of another data set, float64 [row, 4]; row s is not sample s.

    The three largest probabilities of such a model on a record of that set, and 1 where the record was
    a member of it, else 0.
    """

    name = "transfer_records"

    dataset: str = Field("digits", description="the other data set, a name from `hwsim list dataset`")


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities [..., class] in float64, shifted by the largest logit so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0])).tolist()
    [0.5, 0.5]
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def _integer_softmax(codes: NDArray[np.int64], step: float) -> NDArray[np.float64]:
    """HQ1's softmax (a table of 30-bit weights, one rounded division) of 8-bit codes, as real probabilities.

    Codes go from 0 to 255, so a probability of 1 reads 255/256, as in the int8 softmax of TFLite.
    """
    from hwsim.formats import Format
    from hwsim.network.layer import Layer, Op, Softmax
    from hwsim.reference import softmax as exact

    table = np.floor(np.exp(-np.arange(256) * step) * 2**30 + 0.5).astype(np.int64)
    output = Format(8, signed=True, zero_point=-128)
    layer = Layer("probabilities", Op.SOFTMAX, ("logits",), output, softmax=Softmax(table, one=256))
    return (exact(layer, codes) + 128) / 256.0
