"""Purchase-100 and Texas-100, common tables of membership-inference papers, in their official archives.

Archives are verified by their git object id in the repository of the authors, github.com/privacytrustlab/datasets.
Their text is then read without evaluating it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.datasets.base import Dataset, DatasetCard, Pool
from hwsim.datasets.files import archive_members, damage_reported, git_blob, locate, read_array, verify
from hwsim.files.archive import open_archive
from hwsim.registry import register


class BinaryTable(Dataset):
    """Base of tables of binary features, from an archive of text or from an npz file.

    Attributes
    ----------
    name, card : name and description of the data set
    blobs : file name -> git object id
    widths : allowed numbers of features
    features_file : file of the records in the archive
    labels_file : file of the labels; empty where the label is the first value of a record
    """

    name: ClassVar[str]
    card: ClassVar[DatasetCard]
    blobs: ClassVar[dict[str, str]]
    widths: ClassVar[tuple[int, ...]]
    features_file: ClassVar[str]
    labels_file: ClassVar[str]

    def arrays(self) -> Pool:
        """Return features float32 [record, feature] of 0 and 1, and labels 0..99, in the order of the file."""
        path = locate(self.name, self.card.files, self.card.how_to_get)
        with damage_reported(self.name, path, self.card.how_to_get):
            verify(path, git_blob, self.blobs[path.name])
            bits, labels = self._from_npz(path) if path.suffix == ".npz" else self._from_text(path)
            if len(bits) != self.card.samples or bits.shape[1] not in self.widths:
                raise ValueError(f"{bits.shape[0]:,} records of {bits.shape[1]} features")
            if set(np.unique(labels)) != set(range(self.card.classes)):
                raise ValueError(f"its labels are not 0 to {self.card.classes - 1}")
        return Pool(bits.astype(np.float32), labels)

    def _from_text(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read bits [record, feature] and labels [record] from an archive of text."""
        rows, max_length = self.card.samples, 2 * max(self.widths) + 8
        limits = {self.features_file: rows * max_length, self.labels_file: rows * 8}
        with archive_members(path, limits) as member:
            lines = read_lines(member(self.features_file), rows, max_length)
            if not self.labels_file:
                split = [line.split(b",", 1) for line in lines]
                return bit_rows(line[-1] for line in split), numbers(line[0] for line in split) - 1
            return bit_rows(lines), numbers(read_lines(member(self.labels_file), rows, 8)) - 1

    def _from_npz(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Read bits [record, feature] and labels [record], as numbers or one-hot, from an npz file."""
        column_bytes = 8 * self.card.samples  # of the widest numbers
        with open_archive(path) as archive:
            features = read_array(archive, "features", column_bytes * max(self.widths))
            labels = read_array(archive, "labels", column_bytes * self.card.classes)
        bits = features.astype(np.uint8)
        if (bits != features).any() or (bits > 1).any():
            raise ValueError("features other than 0 and 1")
        classes = labels.argmax(axis=1) if labels.ndim == 2 else labels
        return bits, classes.astype(np.int64)


def read_lines(file: IO[bytes], rows: int, max_length: int) -> list[bytes]:
    """Read the `rows` lines of a file, without line ends.

    Raises ValueError for another number of lines and for a line longer than `max_length` bytes.

    >>> import io
    >>> read_lines(io.BytesIO(b"1,0\\n0,1\\n"), 2, 8)
    [b'1,0', b'0,1']
    """
    lines: list[bytes] = []
    for _ in range(rows):
        line = file.readline(max_length + 1)
        if not line or len(line) > max_length:
            raise ValueError(f"line {len(lines) + 1} is {'too long' if line else 'missing'}")
        lines.append(line.strip())
    if file.read(8).strip():
        raise ValueError(f"more than {rows:,} lines")
    return lines


def bit_rows(lines: Iterator[bytes] | list[bytes]) -> NDArray[np.uint8]:
    """Parse lines such as `0,1,1` to uint8 [line, value]; raises ValueError for anything but zeros, ones and commas.

    >>> bit_rows([b"0,1,1", b"1,0,0"]).tolist()
    [[0, 1, 1], [1, 0, 0]]
    """
    rows: list[NDArray[np.uint8]] = []
    for number, line in enumerate(lines, 1):
        characters = np.frombuffer(line, dtype=np.uint8)
        bits = characters[::2] - np.uint8(ord("0"))
        if len(characters) % 2 == 0 or (bits > 1).any() or (characters[1::2] != ord(",")).any():
            raise ValueError(f"line {number} is not a row of 0 and 1")
        if rows and len(bits) != len(rows[0]):
            raise ValueError(f"line {number} has {len(bits)} values, the first has {len(rows[0])}")
        rows.append(bits)
    return np.stack(rows)


def numbers(lines: Iterator[bytes] | list[bytes]) -> NDArray[np.int64]:
    """Parse lines of one whole number each to int64 [line]; raises ValueError for anything else.

    >>> numbers([b"7", b"100"]).tolist()
    [7, 100]
    """
    return np.array([int(line) for line in lines], dtype=np.int64)


@register(
    "dataset",
    "purchase100",
    citation="Acquire Valued Shoppers Challenge, Kaggle 2014; prepared by Shokri et al., Membership Inference "
    "Attacks Against Machine Learning Models, S&P 2017",
)
class Purchase100(BinaryTable):
    """Purchase-100: 197,324 shoppers' baskets, 600 binary features in 100 styles, from the official archive."""

    name: ClassVar[str] = "purchase100"
    blobs: ClassVar[dict[str, str]] = {
        "dataset_purchase.tgz": "3efa7476ad5ed7ac3e558d28585a186b38fc5f19",
        "purchase100.npz": "aa8b5b1d2f4066c2144959bdf2e284031b199e39",
    }
    card: ClassVar[DatasetCard] = DatasetCard(
        197324,
        (600,),
        100,
        "none stated",
        "github.com/privacytrustlab/datasets, dataset_purchase.tgz",
        f"git blob {blobs['dataset_purchase.tgz']}",
        ("purchase100/dataset_purchase.tgz", "purchase100/purchase100.npz"),
    )
    widths: ClassVar[tuple[int, ...]] = (600,)
    features_file: ClassVar[str] = "dataset_purchase"
    labels_file: ClassVar[str] = ""


@register(
    "dataset",
    "texas100",
    citation="Texas Inpatient Public Use Data File, Texas Department of State Health Services; prepared by Shokri "
    "et al., Membership Inference Attacks Against Machine Learning Models, S&P 2017",
)
class Texas100(BinaryTable):
    """Texas-100: 67,330 hospital stays, about 6,170 binary features in 100 procedures, from the official archive.

    Papers give 6,170 features, the released networks read 6,169; both are accepted. Needs 4 GB of memory.
    """

    name: ClassVar[str] = "texas100"
    blobs: ClassVar[dict[str, str]] = {
        "dataset_texas.tgz": "966f7ff40b24cf5912ff84759aab9adb8c25f30e",
        "texas100.npz": "b9be7604db17e9b09ee1b53e2e7c715186c0ff19",
    }
    card: ClassVar[DatasetCard] = DatasetCard(
        67330,
        (6169,),
        100,
        "none stated",
        "github.com/privacytrustlab/datasets, dataset_texas.tgz",
        f"git blob {blobs['dataset_texas.tgz']}",
        ("texas100/dataset_texas.tgz", "texas100/texas100.npz"),
    )
    widths: ClassVar[tuple[int, ...]] = (6169, 6170)
    features_file: ClassVar[str] = "feats"
    labels_file: ClassVar[str] = "labels"
