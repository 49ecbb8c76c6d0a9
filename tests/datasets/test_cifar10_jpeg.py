"""JPEG images with a shared header are assembled and decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from hwsim.datasets.cifar10_jpeg import decode_images


def packed(images: list[np.ndarray]) -> tuple[bytes, bytes, np.ndarray, bytes]:
    """Images as JPEG files with a shared start and end, as in the data file."""
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=75)
        files.append(file.getvalue())
    start, end = 100, 2
    assert len({file[:start] for file in files}) == len({file[-end:] for file in files}) == 1
    bodies = [file[start:-end] for file in files]
    return files[0][:start], b"".join(bodies), np.cumsum([0, *map(len, bodies)]), files[0][-end:]


def test_images_are_decoded_up_to_the_jpeg_loss() -> None:
    ramp = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (32, 32, 3))
    red = np.zeros((32, 32, 3), dtype=np.uint8)
    red[..., 0] = 200
    images = decode_images(*packed([ramp.copy(), red]))
    assert images.shape == (2, 32, 32, 3)
    assert images.dtype == np.uint8
    for image, original in zip(images, (ramp, red), strict=True):
        assert np.abs(image.astype(int) - original).max() <= 12


@pytest.mark.parametrize("cut", [0, 40])
def test_a_broken_image_is_refused(cut: int) -> None:
    prefix, data, _, suffix = packed([np.zeros((32, 32, 3), dtype=np.uint8)])
    with pytest.raises((OSError, ValueError)):
        decode_images(prefix[: len(prefix) - 60], data[:cut], np.array([0, cut]), suffix)


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"image 0 has \(48, 32\) pixels"):
        decode_images(*packed([np.zeros((32, 48, 3), dtype=np.uint8)]))
