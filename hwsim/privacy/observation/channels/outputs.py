"""Output channels: logits, probabilities, the most probable classes, the predicted class."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hwsim.privacy.observation.channels.base import Channel, DeployedModel
from hwsim.registry import register


@register("channel", "logits", citation="N. Carlini et al., Membership Inference Attacks From First Principles, 2022")
class Logits(Channel):
    """The real-valued class scores, float64 [sample, class]: output integers times their scale.

    With 32 bits the raw accumulators leave the chip. With fewer bits the output port requantizes them to
    that width and saturates at the largest logit of the calibration samples.
    """

    name = "logits"

    bits: Literal[32, 16, 8, 4] = Field(32, description="width of the output port")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """Return the logits that pass the port."""
        if self.bits == 32:
            return deployed.logits
        codes, scale = deployed.port(self.bits)
        logits: NDArray[np.float64] = codes * np.float64(scale)
        return logits


@register("channel", "probabilities", citation="R. Shokri et al., Membership Inference Attacks, IEEE S&P 2017")
class Probabilities(Channel):
    """The softmax of the logits, float64 [sample, class].

    With `bits` = 64 a host computes the softmax from the raw logits. With 8 the integer softmax of the chip
    computes it from 8-bit logits, in units of 1/256.
    """

    name = "probabilities"

    bits: Literal[64, 8] = Field(64, description="64: softmax of a host in float64; 8: the chip's integer softmax")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """Return the probabilities."""
        return softmax(deployed.logits) if self.bits == 64 else _integer_softmax(*deployed.port(8))


@register("channel", "top_k", citation="A. Salem et al., ML-Leaks, NDSS 2019")
class TopK(Channel):
    """The k most probable classes with their probabilities, float64 [sample, k, 2]: (class, probability).

    Sorted by descending probability; of equal probabilities the smaller class comes first. k is limited to
    the number of classes.
    """

    name = "top_k"

    k: int = Field(3, ge=1, le=1000, description="number of classes in the answer")

    def read(self, deployed: DeployedModel) -> NDArray[np.float64]:
        """Return classes and probabilities."""
        probabilities = softmax(deployed.logits)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.k]
        return np.stack([order.astype(np.float64), np.take_along_axis(probabilities, order, axis=1)], axis=2)


@register("channel", "label", citation="S. Yeom et al., Privacy Risk in Machine Learning, CSF 2018 (gap attack)")
class Label(Channel):
    """The predicted class, int64 [sample]; of equal scores the first class."""

    name = "label"

    def read(self, deployed: DeployedModel) -> NDArray[np.int64]:
        """Return the class with the largest logit."""
        return np.asarray(deployed.outputs.argmax(axis=1), dtype=np.int64)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities [..., class] in float64, shifted by the largest logit so that nothing overflows.

    >>> softmax(np.array([1000.0, 1000.0])).tolist()
    [0.5, 0.5]
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return probabilities


def _integer_softmax(codes: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """Return the HQ1 softmax (a table of 30-bit weights, one rounded division) of 8-bit codes as real probabilities.

    `codes` is int64 [sample, class], `scale` the real value of one code; the result is float64 [sample, class].
    Output codes run from 0 to 255, so a probability of 1 reads 255/256, as in the int8 softmax of TFLite.
    """
    from hwsim.formats import Format
    from hwsim.network.layer import Layer, Op, Softmax
    from hwsim.reference import softmax as exact

    table = np.floor(np.exp(-np.arange(256) * scale) * 2**30 + 0.5).astype(np.int64)
    output = Format(8, signed=True, zero_point=-128)
    layer = Layer("probabilities", Op.SOFTMAX, ("logits",), output, softmax=Softmax(table, one=256))
    return (exact(layer, codes) + 128) / 256.0
