"""Real arithmetic for some of the models of an ensemble, with the bits that they get among all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hwsim.float_graph.graph import FloatArithmetic, Node, Weights, multiply
from hwsim.network.layer import Op


class GroupArithmetic(FloatArithmetic):
    """Plain real arithmetic for the models `models` out of `total`.

    torch sums the columns of a matrix in an order that depends on its width, and the gradient of a
    linear layer's bias is such a sum. Here it is taken at the width of the whole ensemble, so that
    cutting the ensemble into groups does not move it.
    """

    def __init__(self, models: slice, total: int) -> None:
        self.models, self.total = models, total

    def product(self, node: Node, x: Tensor, weights: Weights) -> Tensor:
        """The layer's sum of products and bias."""
        weight, bias = weights[f"{node.name}.weight"], weights[f"{node.name}.bias"]
        if node.op is not Op.LINEAR or len(weight) == self.total:
            return multiply(node, x, weight, bias)
        begin, width = self.models.start * bias.shape[1], self.total * bias.shape[1]
        y: Tensor = _AddBias.apply(multiply(node, x, weight, None), bias.reshape(-1), begin, width)
        return y


class _AddBias(torch.autograd.Function):
    """y [sample, column] + bias [column], where the columns are those from `begin` on of `width` columns."""

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
