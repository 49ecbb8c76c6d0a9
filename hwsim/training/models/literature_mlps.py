"""Fully connected networks for Location, Purchase and Texas, as in papers on membership inference."""

from __future__ import annotations

from torch import nn

from hwsim.network.layer import Shape
from hwsim.registry import register
from hwsim.training.models.base import Batch, Epochs, LearningRate, Model
from hwsim.training.models.mlp import Hidden, perceptron


@register(
    "model",
    "location_mlp",
    citation="the size used for Location-30 in this project's own measurements, after Jia et al., MemGuard, CCS 2019",
)
class LocationMLP(Model):
    """The 446-256-256-30 perceptron for Location-30: Adam at 1e-3, batches of 100, 40 epochs.

    With that recipe and 1,000 members, a loss threshold reached an AUC of .88 (one run, measured for this project). The
    layer sizes of the released MemGuard code were not compared.
    """

    epochs: Epochs = 40
    batch: Batch = 100
    learning_rate: LearningRate = 1e-3
    hidden: Hidden = (256, 256)

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return linear layers with ReLUs between them."""
        return perceptron(shape, self.hidden, classes)


@register(
    "model",
    "purchase_mlp",
    citation="Nasr et al., Machine Learning with Membership Privacy using Adversarial Regularization, CCS 2018; "
    "recipe after Shejwalkar and Houmansadr, Membership Privacy for Machine Learning Models Through Knowledge "
    "Transfer, AAAI 2021",
)
class PurchaseMLP(Model):
    """The 600-1024-512-256-128-100 perceptron for Purchase-100.

    ReLU replaces the tanh of the paper, which the integer network does not have. Adam at 5e-4 for 100 epochs is the
    teacher's recipe of the second source, with cosine decay instead of its two halvings. Design choice: the batch.
    """

    epochs: Epochs = 100
    batch: Batch = 128
    learning_rate: LearningRate = 5e-4
    hidden: Hidden = (1024, 512, 256, 128)

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return linear layers with ReLUs between them."""
        return perceptron(shape, self.hidden, classes)


@register("model", "texas_mlp", citation="our own choice, shaped like the Purchase network of Nasr et al., CCS 2018")
class TexasMLP(Model):
    """A 6170-1024-512-256-128-100 perceptron for Texas-100.

    No source with layer sizes for Texas was found. Design choice: the sizes and the recipe of `purchase_mlp`, with half
    the epochs.
    """

    epochs: Epochs = 50
    batch: Batch = 128
    learning_rate: LearningRate = 5e-4
    hidden: Hidden = (1024, 512, 256, 128)

    def module(self, shape: Shape, classes: int) -> nn.Module:
        """Return linear layers with ReLUs between them."""
        return perceptron(shape, self.hidden, classes)
