"""One output element of one layer, together with the codes that the layer gets for its sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.explanation import Index, Operand
from hwsim.formats import Format, QTensor
from hwsim.network.layer import Layer

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Element:
    """The element `at` of what `layer` makes of `codes`: one array without a sample axis per input of the layer."""

    layer: Layer
    codes: tuple[Ints, ...]
    formats: tuple[Format, ...]
    at: Index

    @property
    def channel(self) -> int:
        """Which multiplier, level and bias belong to the element."""
        return self.at[0] if self.layer.channel_axis == 1 else self.at[-1]

    def operand(self, at: Index, number: int = 0, note: str = "") -> Operand:
        """The code at `at` of input `number` of the layer."""
        code = self.codes[number][at]
        value = self.formats[number].decode(np.array([code]))[0]
        return Operand(self.layer.inputs[number], tuple(map(int, at)), int(code), int(value), note)

    def weight(self, at: Index) -> Operand:
        """The weight at `at`."""
        return weight_operand(self.tensor, at)

    @property
    def tensor(self) -> QTensor:
        """The weights of a layer that has them."""
        assert self.layer.weight is not None
        return self.layer.weight

    @property
    def bias(self) -> int:
        """The bias of the element's channel; 0 where the layer has none."""
        return 0 if self.layer.bias is None else int(self.layer.bias[self.channel])

    def of_channel(self, values: Ints) -> int:
        """The entry of the element's channel, where one entry may serve all channels."""
        flat = values.ravel()
        return int(flat[self.channel if flat.size > 1 else 0])


def weight_operand(tensor: QTensor, at: Index) -> Operand:
    """One weight: its code and the integer that the code stands for.

    >>> weight_operand(QTensor(np.array([[1, -3]]), Format(4, signed=True)), (0, 1))
    Operand(source='weight', at=(0, 1), code=-3, value=-3, note='')
    """
    code = tensor.codes[at]
    return Operand("weight", at, int(code), int(tensor.format.decode(np.array([code]))[0]))
