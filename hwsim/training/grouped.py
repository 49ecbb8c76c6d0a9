"""Float arithmetic for a group of models of an ensemble, with the same bits as in the whole ensemble."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatArithmetic, Node, Weights, sum_of_products
from hwsim.network.layer import Op


class GroupArithmetic(FloatArithmetic):
    """Real arithmetic for the models `models` out of `total`.

    The gradient of the bias of a linear layer is a sum over samples, and torch's order of this sum depends on the
    width of the matrix. The gradient is therefore summed at the width of the whole ensemble, so that it does not
    depend on the split into groups.
    """

    def __init__(self, models: slice, total: int) -> None:
        self.models, self.total = models, total

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """Return the sums of products plus the bias."""
        weight, bias = weights[f"{node.name}.weight"], weights[f"{node.name}.bias"]
        if node.op is not Op.LINEAR or len(weight) == self.total:
            return sum_of_products(node, x, weight, bias)
        begin, width = self.models.start * bias.shape[1], self.total * bias.shape[1]
        y: Tensor = _AddBias.apply(sum_of_products(node, x, weight, None), bias.reshape(-1), begin, width)
        return y


class _AddBias(torch.autograd.Function):
    """y [sample, column] + bias [column], for columns `begin` to `begin + len(bias) - 1` of a matrix `width` wide."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, bias: Tensor, begin: int, width: int) -> Tensor:
        ctx.begin, ctx.width = begin, width
        return y + bias

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:  # type: ignore[override]
        columns = slice(ctx.begin, ctx.begin + grad.shape[1])
        wide = grad.new_zeros((len(grad), ctx.width))
        wide[:, columns] = grad
        return grad, wide.sum(0)[columns].clone(), None, None
