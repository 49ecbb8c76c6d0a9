"""Operand addresses of a convolution: im2col as addresses in a padded, channels-last map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.network.product import Window

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Wavefronts:
    """Addresses of the operands of one group of a convolution in a padded, channels-last map.

    Output pixel p and position k of the reduction read address `pixels[p] + taps[k]`.

    Attributes
    ----------
    window : the convolution
    channels : channels of the map: all channels of the group, or 1 where they share one plane
    pixels : int64 [output pixel], row by row
    taps : int64 [reduction], in the order (kernel row, kernel column, channel)
    """

    window: Window
    channels: int
    pixels: Ints
    taps: Ints

    def embed(self, steps: NDArray[np.integer], padding: int) -> NDArray[np.uint8]:
        """Embed cycles [sample, channel, row, column] in one padded map per sample: uint8 [sample, flat].

        Padding takes `padding` cycles. Raises BadInput for maps of another shape and for cycles above 255.

        >>> from hwsim.network.layer import Geometry
        >>> w = wavefronts(Window(2, 2, Geometry((2, 2), padding=(1, 0), padding_end=(0, 0))), channels=1)
        >>> w.embed(np.array([[[[4, 1], [1, 4]]]]), padding=0).tolist()
        [[0, 0, 4, 1, 1, 4]]
        """
        height, width = self.window.height, self.window.width
        if steps.ndim != 4 or steps.shape[1:] != (self.channels, height, width):
            raise BadInput("steps", f"shape {steps.shape}", f"[sample, {self.channels}, {height}, {width}]")
        for given in (padding, int(steps.min(initial=0)), int(steps.max(initial=0))):
            if not 0 <= given <= 255:
                raise BadInput("steps", given, "0 to 255")
        top, bottom, left, right = self.window.geometry.pads
        size = len(steps), top + height + bottom, left + width + right, self.channels
        padded = np.full(size, padding, dtype=np.uint8)
        padded[:, top : top + height, left : left + width] = steps.transpose(0, 2, 3, 1)
        return padded.reshape(len(steps), size[1] * size[2] * size[3])


def wavefronts(window: Window, channels: int, shared: bool = False) -> Wavefronts:
    """Return the addresses of one group of a convolution that reads `channels` channels.

    With `shared` one plane of steps serves all channels. A plain product [pixels, reduction] is the
    1x1 convolution of a map of 1 x pixels with as many channels as the reduction is long.

    >>> from hwsim.network.layer import Geometry
    >>> w = wavefronts(Window(2, 3, Geometry((1, 2))), channels=2)
    >>> w.pixels.tolist(), w.taps.tolist()
    ([0, 2, 6, 8], [0, 1, 2, 3])
    """
    planes = 1 if shared else channels
    _, _, left, right = window.geometry.pads
    row = (left + window.width + right) * planes
    stride, dilation, kernel = window.geometry.stride, window.geometry.dilation, window.geometry.kernel
    pixels = _grid(window.output, stride[0] * row, stride[1] * planes)
    taps = _grid(kernel, dilation[0] * row, dilation[1] * planes)
    depth = np.zeros(channels, dtype=np.int64) if shared else np.arange(channels, dtype=np.int64)
    return Wavefronts(window, planes, pixels, (taps[:, None] + depth).reshape(-1))


def _grid(size: tuple[int, int], row: int, column: int) -> Ints:
    """List the addresses of `size` rows and columns that lie `row` and `column` apart, row by row."""
    rows, columns = (np.arange(count, dtype=np.int64) for count in size)
    return (rows[:, None] * row + columns * column).reshape(-1)
