"""Residual block of two 3x3 convolutions, without batch normalization."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, filters, 3, stride, 1)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.shortcut = nn.Identity() if inputs == filters and stride == 1 else nn.Conv2d(inputs, filters, 1, stride)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the ReLU of branch plus shortcut."""
        y = self.conv2(self.relu1(self.conv1(x)))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out
