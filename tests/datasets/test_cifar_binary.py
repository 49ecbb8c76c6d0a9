"""Official binary files of CIFAR, on small synthetic files; pickles are refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import cifar_binary
from hwsim.datasets.base import DatasetCard
from hwsim.datasets.cifar_binary import Cifar10, Cifar100
from hwsim.datasets.files import UNVERIFIED, md5
from hwsim.errors import HwsimError

PARTS = {"data_batch_1.bin": 3, "test_batch.bin": 2}


class Small(Cifar10):
    """CIFAR-10 of three training images and two test images."""

    parts = PARTS


def records(rows: int, label_bytes: int, seed: int) -> bytes:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, (rows, label_bytes))
    return np.concatenate([labels, draw.integers(0, 256, (rows, 3072))], axis=1).astype(np.uint8).tobytes()


def unpack(folder: Path, place: str = "cifar10/cifar-10-batches-bin") -> dict[str, bytes]:
    (folder / place).mkdir(parents=True)
    files = {part: records(rows, 1, i) for i, (part, rows) in enumerate(PARTS.items())}
    for part, raw in files.items():
        (folder / place / part).write_bytes(raw)
    return files


def pack(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "cifar10" / "cifar-10-binary.tar.gz"
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for part, raw in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{part}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def verified(path: Path) -> Small:
    """A reader that expects the checksum of this archive."""

    class Same(Small):
        md5 = md5(path)

    return Same()


@pytest.mark.parametrize("place", ["cifar10/cifar-10-batches-bin", "cifar10"])
def test_unpacked_files_are_read_as_unverified(place: str, folder: Path) -> None:
    files = unpack(folder, place)
    pool = Small().arrays()
    assert pool.x.shape == (5, 3, 32, 32)
    assert pool.remark == UNVERIFIED
    raw = files["test_batch.bin"]
    assert pool.labels[3] == raw[0]
    # a record contains the red plane, then green, then blue, row by row
    assert pool.x[3, 1, 2, 5] == np.float32(raw[1 + 1024 + 2 * 32 + 5]) / np.float32(255)


def test_the_archive_contains_the_same_records(folder: Path) -> None:
    files = unpack(folder)
    loose = Small().arrays()
    pool = verified(pack(folder, files)).arrays()
    np.testing.assert_array_equal(pool.x, loose.x)
    np.testing.assert_array_equal(pool.labels, loose.labels)
    assert pool.remark == ""


def test_an_archive_of_another_checksum_is_refused(folder: Path) -> None:
    pack(folder, unpack(folder))
    with pytest.raises(HwsimError, match=r"its md5 is .*, not c32a1d4ab5d03f1284b67883e8d87530"):
        Small().arrays()


def test_short_and_missing_parts_are_refused(folder: Path) -> None:
    files = unpack(folder)
    part = folder / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin"
    part.write_bytes(files["test_batch.bin"][:-1])
    with pytest.raises(HwsimError, match=r"test_batch\.bin has 6,145 bytes, not 6,146"):
        Small().arrays()
    part.unlink()
    with pytest.raises(HwsimError, match=r"test_batch\.bin"):
        Small().arrays()
    for wrong, message in (
        ({"data_batch_1.bin": files["data_batch_1.bin"]}, "no file test_batch.bin"),
        (files | {"test_batch.bin": b"1"}, "has 1 bytes, not 6,146"),
        (files | {"test_batch.bin": bytes(9000)}, "at most 6,146"),
    ):
        with pytest.raises(HwsimError, match=message):
            verified(pack(folder, wrong)).arrays()


def test_an_invalid_label_is_refused(folder: Path) -> None:
    files = unpack(folder)
    part = folder / "cifar10" / "cifar-10-batches-bin" / "test_batch.bin"
    part.write_bytes(b"\x0a" + files["test_batch.bin"][1:])
    with pytest.raises(HwsimError, match="label 10, allowed 0 to 9"):
        Small().arrays()


def test_cifar100_reads_the_fine_label(folder: Path) -> None:
    class Few(Cifar100):
        parts = {"train.bin": 2, "test.bin": 1}  # noqa: RUF012

    (folder / "cifar100").mkdir()
    (folder / "cifar100" / "train.bin").write_bytes(records(2, 2, 0))
    (folder / "cifar100" / "test.bin").write_bytes(b"\x07\x63" + bytes(3072))
    pool = Few().arrays()
    assert pool.labels[2] == 99
    assert pool.x[2].max() == 0


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py", "data_batch_1"])
def test_pickles_are_never_opened(name: str, folder: Path) -> None:
    (folder / "cifar10").mkdir()
    (folder / "cifar10" / name).write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(HwsimError, match=r"a pickle, which may run any code .*get the binary version from .*binary"):
        Cifar10().load(0)


def test_a_pickle_next_to_the_binary_files_is_ignored(folder: Path) -> None:
    unpack(folder)
    (folder / "cifar10" / "cifar-10-python.tar.gz").touch()
    assert len(Small().arrays().x) == 5


def test_the_official_sizes() -> None:
    """A record has one or two label bytes and 3 x 32 x 32 pixels; 60,000 records in all."""
    for make, files in ((Cifar10, 6), (Cifar100, 2)):
        assert sum(make.parts.values()) == make.card.samples == 60_000
        assert len(make.parts) == files
        assert isinstance(make.card, DatasetCard)
    assert cifar_binary.PIXELS == 3072
