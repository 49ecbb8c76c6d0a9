"""Purchase-100 and Texas-100 as text and as npz, on small synthetic files."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets.files import git_blob
from hwsim.datasets.purchase_texas import BinaryTable, Purchase100, Texas100, bit_rows, read_lines
from hwsim.errors import HwsimError

BITS = np.random.default_rng(0).integers(0, 2, (6, 4))
LABELS = np.array([0, 1, 2, 2, 1, 0])


def small(make: type[BinaryTable], path: Path) -> BinaryTable:
    """A reader of six records of four features in three classes, which expects the checksum of this file."""

    class Small(make):  # type: ignore[misc, valid-type]
        card = replace(make.card, samples=6, shape=(4,), classes=3)
        widths = (4,)
        blobs = {path.name: git_blob(path)}  # noqa: RUF012

    return Small()  # type: ignore[no-any-return]


def lines(table: np.ndarray) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in table).encode()


def pack(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def purchase(folder: Path, raw: bytes) -> BinaryTable:
    return small(Purchase100, pack(folder / "purchase100" / "dataset_purchase.tgz", {"dataset_purchase": raw}))


def with_labels(bits: np.ndarray = BITS) -> bytes:
    return lines(np.concatenate([LABELS[:, None] + 1, bits], axis=1))


def test_purchase_records_begin_with_the_label(folder: Path) -> None:
    pool = purchase(folder, with_labels()).arrays()
    np.testing.assert_array_equal(pool.x, BITS)
    np.testing.assert_array_equal(pool.labels, LABELS)


def test_texas_has_a_file_of_labels(folder: Path) -> None:
    files = {"texas/100/feats": lines(BITS), "texas/100/labels": lines(LABELS[:, None] + 1)}
    pool = small(Texas100, pack(folder / "texas100" / "dataset_texas.tgz", files)).arrays()
    np.testing.assert_array_equal(pool.x, BITS)
    np.testing.assert_array_equal(pool.labels, LABELS)


@pytest.mark.parametrize("labels", [LABELS, np.eye(3)[LABELS]])
def test_the_npz_may_have_labels_as_numbers_or_one_hot(labels: np.ndarray, folder: Path) -> None:
    path = folder / "purchase100" / "purchase100.npz"
    path.parent.mkdir()
    np.savez(path, features=BITS.astype(float), labels=labels)
    pool = small(Purchase100, path).arrays()
    np.testing.assert_array_equal(pool.x, BITS)
    np.testing.assert_array_equal(pool.labels, LABELS)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (with_labels()[:-10], "line 6 is missing"),
        (with_labels() + b"1,0,0,0,0\n", "more than 6 lines"),
        (with_labels().replace(b"\n2,", b"\n2,00000000000000,", 1), "line 2 is too long"),
        (with_labels(BITS * 2), "not a row of 0 and 1"),
        (with_labels().replace(b",", b";"), "damaged"),
        (with_labels()[:-2] + b"\n", "line 6"),
        (with_labels(BITS[:, :3]), "6 records of 3 features"),
        (with_labels().replace(b"\n1,", b"\nx,"), "damaged"),
        (with_labels().replace(b"\n3,", b"\n2,"), "its labels are not 0 to 2"),
        (b"", "line 1 is missing"),
    ],
)
def test_other_text_is_refused(raw: bytes, message: str, folder: Path) -> None:
    with pytest.raises(HwsimError, match=message):
        purchase(folder, raw).arrays()


def test_other_npz_are_refused(folder: Path) -> None:
    path = folder / "purchase100" / "purchase100.npz"
    path.parent.mkdir()
    for features, message in ((BITS * 2, "other than 0 and 1"), (np.zeros((6, 900)), "larger than")):
        np.savez(path, features=features, labels=LABELS)
        with pytest.raises(HwsimError, match=message):
            small(Purchase100, path).arrays()


def test_a_file_with_another_checksum_is_not_read(folder: Path) -> None:
    pack(folder / "purchase100" / "dataset_purchase.tgz", {"dataset_purchase": with_labels()})
    with pytest.raises(HwsimError, match=r"its git_blob is .*, not 3efa7476ad5ed7ac3e558d28585a186b38fc5f19"):
        Purchase100().arrays()


def test_a_line_is_never_read_beyond_its_limit() -> None:
    file = io.BytesIO(b"0" * 1_000_000)
    with pytest.raises(ValueError, match="line 1 is too long"):
        read_lines(file, 2, 8)
    assert file.tell() < 100


def test_rows_of_two_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="line 2 has 1 values, the first has 2"):
        bit_rows([b"0,1", b"1"])
