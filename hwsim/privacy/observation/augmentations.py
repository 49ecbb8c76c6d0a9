"""Data augmentation: shifts and rotations of images, bit flips and noise of feature vectors; the original comes first.

Source: C. Choquette-Choo et al., Label-Only Membership Inference Attacks, ICML 2021.
Design choice: the shifts and angles of one size, and edge replication outside the image.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import BadInput
from hwsim.privacy.sample_keys import content_keys
from hwsim.rng import stream


def translations(x: NDArray[np.floating[Any]], d: int) -> NDArray[np.floating[Any]]:
    """Return the images and their shifts by i rows and j columns with |i| + |j| = d pixels: [4 d + 1, sample, ...].

    `x` is float [sample, channel, row, column]; the result has its dtype. Pixels from outside the image replicate its
    edge. Raises BadInput unless `x` has four axes and `d` is from 0 to 64.

    >>> image = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> translations(image, 1)[:, 0, 0].tolist()[1]
    [[1.0, 2.0], [1.0, 2.0]]
    """
    _require_images(x)
    if not 0 <= d <= 64:
        raise BadInput("d", d, "0 to 64 pixels")
    rows, columns = x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (d, d), (d, d)), mode="edge")
    shifts = [(i, j) for i in range(d, -d - 1, -1) for j in sorted({d - abs(i), abs(i) - d})] if d else []
    copies = [padded[:, :, d - i : d - i + rows, d - j : d - j + columns] for i, j in [(0, 0), *shifts]]
    return np.stack(copies)


def rotations(x: NDArray[np.floating[Any]], degrees: float) -> NDArray[np.floating[Any]]:
    """Return the images, and their rotations by -`degrees` and +`degrees` about the center: [3, sample, ...].

    `x` is float [sample, channel, row, column]; the result has its dtype. Pixels are interpolated linearly, and pixels
    from outside the image replicate its edge. The published code takes 9 degrees. Raises BadInput unless `x` has four
    axes and `degrees` is above 0 and at most 180.

    >>> rotations(np.ones((2, 1, 4, 4)), 9.0).shape
    (3, 2, 1, 4, 4)
    """
    from scipy.ndimage import rotate

    _require_images(x)
    if not 0 < degrees <= 180:
        raise BadInput("degrees", degrees, "above 0, at most 180")
    rotated = [rotate(x, angle, axes=(3, 2), reshape=False, order=1, mode="nearest") for angle in (-degrees, degrees)]
    return np.stack([x, *rotated])


def bit_flips(x: NDArray[np.floating[Any]], p: float, copies: int, seed: int) -> NDArray[np.floating[Any]]:
    """Return the binary vectors, and `copies` with every bit flipped with probability `p`: [copies + 1, sample, ...].

    `x` is float [sample, ...] of zeros and ones; the result has its dtype. The flips of a sample depend on its bits and
    `seed` alone. Raises BadInput for values other than 0 and 1, a `p` outside 0..1, or fewer than one copy.

    >>> bit_flips(np.array([[0.0, 1.0]]), 1.0, copies=1, seed=0).tolist()
    [[[0.0, 1.0]], [[1.0, 0.0]]]
    """
    _require_copies(copies)
    if not 0 <= p <= 1:
        raise BadInput("p", p, "0 to 1, a probability")
    if not np.isin(x, (0, 1)).all():
        raise BadInput("x", "features that are not bits", "0 and 1; use gaussian_noise for other features")
    augmented = np.stack([x] * (copies + 1))
    for s, key in enumerate(content_keys(x)):
        flipped = stream(seed, "bit flips", int(key)).random((copies, *x.shape[1:])) < p
        augmented[1:, s] = np.where(flipped, 1 - x[s], x[s])
    return augmented


def gaussian_noise(x: NDArray[np.floating[Any]], sigma: float, copies: int, seed: int) -> NDArray[np.floating[Any]]:
    """Return the vectors, and `copies` with normal noise of deviation `sigma` added: [copies + 1, sample, ...].

    `x` is float [sample, ...]; the result has its dtype and is not clipped. The noise of a sample depends on its
    features and `seed` alone. Raises BadInput for a negative `sigma` or fewer than one copy.

    >>> gaussian_noise(np.zeros((2, 3)), 0.1, copies=4, seed=0).shape
    (5, 2, 3)
    """
    _require_copies(copies)
    if not sigma >= 0:
        raise BadInput("sigma", sigma, "0 or more")
    augmented = np.stack([x] * (copies + 1))
    for s, key in enumerate(content_keys(x)):
        augmented[1:, s] += sigma * stream(seed, "gaussian noise", int(key)).standard_normal((copies, *x.shape[1:]))
    return augmented


def _require_images(x: NDArray[np.floating[Any]]) -> None:
    if x.ndim != 4:
        raise BadInput("x", f"an array {x.shape}", "images [sample, channel, row, column]")


def _require_copies(copies: int) -> None:
    if copies < 1:
        raise BadInput("copies", copies, "1 or more")
