"""One output element of one layer, together with the input codes of that layer for its sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.explanation import Index, Operand
from hwsim.formats import Format, QTensor
from hwsim.network.layer import Layer

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OutputElement:
    """One element of a layer's output for one sample.

    Attributes
    ----------
    layer : the layer
    codes : int64 array of one sample per input of the layer, without a sample axis
    formats : format of each input
    at : index of the element in the output
    """

    layer: Layer
    codes: tuple[Ints, ...]
    formats: tuple[Format, ...]
    at: Index

    @property
    def channel(self) -> int:
        """Index of the element's multiplier, levels and bias."""
        return self.at[0] if self.layer.channel_axis == 1 else self.at[-1]

    def operand(self, at: Index, number: int = 0, note: str = "") -> Operand:
        """Return the code at index `at` of the layer's input `number`."""
        code = self.codes[number][at]
        value = self.formats[number].decode(np.array([code]))[0]
        return Operand(self.layer.inputs[number], tuple(map(int, at)), int(code), int(value), note)

    def weight(self, at: Index) -> Operand:
        """Return the weight at index `at`."""
        return weight_operand(self.weights, at)

    @property
    def weights(self) -> QTensor:
        """Weights of a layer that has weights."""
        assert self.layer.weight is not None
        return self.layer.weight

    @property
    def bias(self) -> int:
        """Bias of the element's channel; 0 where the layer has none."""
        return 0 if self.layer.bias is None else int(self.layer.bias[self.channel])

    def of_channel(self, values: Ints) -> int:
        """Return the entry of the element's channel from `values`, int64 [channel] or [1]."""
        flat = values.ravel()
        return int(flat[self.channel if flat.size > 1 else 0])


def weight_operand(weights: QTensor, at: Index) -> Operand:
    """Return one weight: its code and the decoded integer.

    >>> weight_operand(QTensor(np.array([[1, -3]]), Format(4, signed=True)), (0, 1))
    Operand(source='weight', at=(0, 1), code=-3, value=-3, note='')
    """
    code = weights.codes[at]
    return Operand("weight", at, int(code), int(weights.format.decode(np.array([code]))[0]))
