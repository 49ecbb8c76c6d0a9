"""Channels that take more than one query, or a second model; the study that plays the game collects their arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from pydantic import Field

from hwsim.errors import BadInput
from hwsim.privacy.observation.channels.base import Channel, DeployedModel
from hwsim.registry import Configurable, build, register


class MultiQueryChannel(Channel):
    """Base of the channels whose arrays are collected beforehand, in `DeployedModel.collected`."""

    def read(self, deployed: DeployedModel) -> NDArray[Any]:
        """Return the collected array; raises BadInput where there is none."""
        if self.name not in deployed.collected:
            given = ", ".join(deployed.collected) or "nothing"
            raise BadInput("channels", f"{self.name}, and collected is {given}", f"an array {self.name} [sample, ...]")
        return deployed.collected[self.name]


@register("channel", "float_logits", citation="CompLeak, arXiv 2507.16872: an adversary who holds two versions")
class FloatLogits(MultiQueryChannel):
    """The logits of the full-precision model from which the network was quantized, float64 [sample, class]."""

    name = "float_logits"


@register("channel", "inputs", citation="The blind baseline: D. Das et al., arXiv 2406.16201")
class Inputs(MultiQueryChannel):
    """The samples themselves, float64 [sample, feature], which the adversary sends as queries."""

    name = "inputs"


@register("channel", "augmented_labels", citation="C. Choquette-Choo et al., Label-Only MIA, ICML 2021")
class AugmentedLabels(MultiQueryChannel):
    """The labels of augmented copies of each sample, int64 [sample, copy]; copy 0 is the original.

    Images are shifted by `shift` pixels in all, down and across, and rotated by +-`degrees`. Of binary feature vectors
    a share `flip` of the bits is flipped; to other feature vectors noise of that standard deviation is added.
    """

    name = "augmented_labels"

    shift: int = Field(1, ge=0, le=8, description="pixels that an image is shifted by, down and across together")
    degrees: float = Field(9.0, ge=0, le=90, description="degrees that an image is rotated by")
    flip: float = Field(0.05, gt=0, le=0.5, description="share of the bits of a feature vector that is flipped")
    copies: int = Field(8, ge=1, le=64, description="augmented copies of a feature vector")


@register("channel", "boundary_distance", citation="C. Choquette-Choo et al. 2021; J. Chen et al., HopSkipJump, 2020")
class BoundaryDistance(MultiQueryChannel):
    """The L2 distance of each sample to the decision boundary, float64 [sample], found from labels alone."""

    name = "boundary_distance"

    queries: int = Field(1000, ge=50, le=100_000, description="label queries per sample")


@register("channel", "loss_trajectory", citation="Y. Liu et al., Membership Inference by Loss Trajectory, CCS 2022")
class LossTrajectory(MultiQueryChannel):
    """Losses of a student distilled from the model, after each epoch: float64 [sample, epoch]."""

    name = "loss_trajectory"

    epochs: int = Field(25, ge=1, le=1000, description="epochs of distillation; the paper takes 100")


@register("channel", "adversarial_logits", citation="L. Song, R. Shokri and P. Mittal, CCS 2019")
class AdversarialLogits(MultiQueryChannel):
    """The deployed model's logits on adversarial inputs by PGD in the eps ball, float64 [sample, class]."""

    name = "adversarial_logits"

    eps: float = Field(0.03, gt=0, le=1, description="radius of the L-infinity ball; inputs lie in 0..1")
    steps: int = Field(10, ge=1, le=1000, description="steps of PGD")


@register("channel", "verified_logits", citation="L. Song, R. Shokri and P. Mittal, CCS 2019")
class VerifiedLogits(MultiQueryChannel):
    """Worst-case logits in the eps ball, float64 [sample, class], by interval bounds.

    A lower bound for the sample's label and upper bounds for the other classes, of the full-precision model.
    """

    name = "verified_logits"

    eps: float = Field(0.03, gt=0, le=1, description="radius of the L-infinity ball; inputs lie in 0..1")


@register("channel", "transfer_records", citation="A. Salem et al., ML-Leaks, NDSS 2019, adversary 2")
class TransferRecords(MultiQueryChannel):
    """Records of models of another data set, float64 [record, 4]; record s is unrelated to sample s.

    The columns are the three largest probabilities of such a model on a record of that set, and 1 where the
    record was a member of the model, else 0.
    """

    name = "transfer_records"

    dataset: str = Field("digits", description="the other data set, a name from `hwsim list dataset`")

    def uses(self) -> Sequence[Configurable]:
        """Return the other data set."""
        return (build("dataset", self.dataset, where="channels.transfer_records.dataset"),)
