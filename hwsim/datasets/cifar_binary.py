"""CIFAR-10 and CIFAR-100 in their official binary files.

The official *python* files are pickles. Opening a pickle can run any code, so they are never read. The binary version
on the same page contains the same images in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.features import pixels
from hwsim.datasets.files import DATA_VARIABLE, UNVERIFIED, archive_members, damage_reported, locate, md5, verify
from hwsim.errors import HwsimError
from hwsim.registry import register

PIXELS = 3 * 32 * 32


class CifarBinary(Dataset):
    """Base of files of records: label bytes, of which the last is the class, and 3,072 pixels.

    Attributes
    ----------
    name, card : name and description of the data set
    md5 : checksum of the archive
    parts : file -> number of records, training files first
    label_bytes : label bytes of a record
    pickles : names of the python version, which is refused
    """

    name: ClassVar[str]
    card: ClassVar[DatasetCard]
    md5: ClassVar[str]
    parts: ClassVar[dict[str, int]]
    label_bytes: ClassVar[int]
    pickles: ClassVar[tuple[str, ...]]

    def files(self) -> Sequence[Path]:
        """Return the archive, or every unpacked file."""
        self._refuse_pickles()
        path = locate(self.name, self.card.files, self.card.how_to_get)
        return (path,) if path.name.endswith(".tar.gz") else tuple(path.parent / part for part in self.parts)

    def arrays(self) -> Pool:
        """Return images float32 [60000, 3, 32, 32] in 0..1, training images first, and labels int64.

        Raises HwsimError where only the python files exist, which are pickles.
        """
        self._refuse_pickles()
        path = locate(self.name, self.card.files, self.card.how_to_get)
        packed = path.name.endswith(".tar.gz")
        with damage_reported(self.name, path, self.card.how_to_get):
            raw = self._unpacked(path) if packed else self._from_folder(path.parent)
            records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, self._record)
            labels = records[:, self.label_bytes - 1].astype(np.int64)
            if labels.max() >= self.card.classes:
                raise ValueError(f"label {labels.max()}, allowed 0 to {self.card.classes - 1}")
        x = pixels(records[:, self.label_bytes :]).reshape(-1, 3, 32, 32)
        return Pool(x, labels, "" if packed else UNVERIFIED)

    @property
    def _record(self) -> int:
        return self.label_bytes + PIXELS

    def _unpacked(self, path: Path) -> bytes:
        verify(path, md5, self.md5)
        with archive_members(path, {part: rows * self._record for part, rows in self.parts.items()}) as member:
            return b"".join(self._whole(part, member(part).read()) for part in self.parts)

    def _from_folder(self, folder: Path) -> bytes:
        for part in self.parts:  # sizes first, before any of it is read
            self._check(part, (folder / part).stat().st_size)
        return b"".join(self._whole(part, (folder / part).read_bytes()) for part in self.parts)

    def _whole(self, part: str, raw: bytes) -> bytes:
        self._check(part, len(raw))
        return raw

    def _check(self, part: str, size: int) -> None:
        if size != self.parts[part] * self._record:
            raise ValueError(f"{part} has {size:,} bytes, not {self.parts[part] * self._record:,}")

    def _refuse_pickles(self) -> None:
        folder = Path(os.environ.get(DATA_VARIABLE) or ".") / self.name
        if any((folder.parent / file).is_file() for file in self.card.files):
            return
        for name in self.pickles:
            if (folder / name).exists():
                raise HwsimError(
                    f"dataset {self.name!r}: {folder / name} is the python version, a pickle, which may run any code "
                    f"when it is opened and is never read here; get the binary version {self.card.how_to_get}"
                )


@register(
    "dataset",
    "cifar10",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
)
class Cifar10(CifarBinary):
    """CIFAR-10: 60,000 color images of 32 x 32 pixels in 10 classes, from the official binary files.

    The python files (pickles) are refused. Only the archive has a known checksum; unpacked `data_batch_*.bin` are
    read as well, and results then note that they were not verified.
    """

    name: ClassVar[str] = "cifar10"
    md5: ClassVar[str] = "c32a1d4ab5d03f1284b67883e8d87530"
    card: ClassVar[DatasetCard] = DatasetCard(
        60000,
        (3, 32, 32),
        10,
        "none stated",
        "www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        f"MD5 {md5}",
        (
            "cifar10/cifar-10-binary.tar.gz",
            "cifar10/cifar-10-batches-bin/data_batch_1.bin",
            "cifar10/data_batch_1.bin",
        ),
    )
    parts: ClassVar[dict[str, int]] = {f"data_batch_{i}.bin": 10000 for i in range(1, 6)} | {"test_batch.bin": 10000}
    label_bytes: ClassVar[int] = 1
    pickles: ClassVar[tuple[str, ...]] = ("cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1")


@register(
    "dataset",
    "cifar100",
    citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
)
class Cifar100(CifarBinary):
    """CIFAR-100: 60,000 color images of 32 x 32 pixels in 100 classes, from the official binary files.

    Labels are the fine ones. The python files (pickles) are refused. The checksum of the archive is that of the CIFAR
    page as quoted elsewhere; it was not tried on a file.
    """

    name: ClassVar[str] = "cifar100"
    md5: ClassVar[str] = "03b5dce01913d631647c71ecec9e9cb8"
    card: ClassVar[DatasetCard] = DatasetCard(
        60000,
        (3, 32, 32),
        100,
        "none stated",
        "www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        f"MD5 {md5}",
        ("cifar100/cifar-100-binary.tar.gz", "cifar100/cifar-100-binary/train.bin", "cifar100/train.bin"),
    )
    parts: ClassVar[dict[str, int]] = {"train.bin": 50000, "test.bin": 10000}
    label_bytes: ClassVar[int] = 2
    pickles: ClassVar[tuple[str, ...]] = ("cifar-100-python.tar.gz", "cifar-100-python", "train")
