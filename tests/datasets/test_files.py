"""Data files are located and verified, and errors contain instructions."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import DATA_VARIABLE
from hwsim.datasets.files import MAX_MEMBERS, ArraySpec, archive_members, git_blob, locate, md5, read_npz, verify
from hwsim.errors import HwsimError
from hwsim.registry import build, family


def test_a_missing_data_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(HwsimError, match="--data DIR"):
        build("dataset", "location30").load(0)


@pytest.mark.parametrize("name", [name for name, record in family("dataset").items() if record.factory.card.files])  # type: ignore[attr-defined]
def test_a_missing_file_is_an_error(name: str, folder: Path) -> None:
    with pytest.raises(HwsimError, match=rf"dataset '{name}': looked for .*{name}.* get it from .*docs/datasets\.md"):
        build("dataset", name).load(0)


def test_the_first_existing_file_is_read(folder: Path) -> None:
    (folder / "b").touch()
    assert locate("some", ["a", "b"], "from us") == folder / "b"
    (folder / "a").touch()
    assert locate("some", ["a", "b"], "from us") == folder / "a"


def small(folder: Path, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    """Result of read_npz for a file with these arrays, where x must be 2 x 3 zeros."""
    (folder / "some").mkdir()
    np.savez(folder / "some" / "some.npz", **arrays)  # type: ignore[arg-type]
    return read_small()


def read_small() -> dict[str, np.ndarray]:
    expected = {"x": ArraySpec((2, 3), "uint8", hashlib.sha256(bytes(6)).hexdigest())}
    return read_npz("some", expected, "from somewhere")  # type: ignore[return-value]


def test_the_right_arrays_are_read(folder: Path) -> None:
    assert small(folder, x=np.zeros((2, 3), np.uint8))["x"].shape == (2, 3)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((2, 3), np.uint8)}, "x is .*not b0f66adc83641586"),
        ({"x": np.zeros((3, 2), np.uint8)}, r"x is \(3, 2\)"),
        ({"x": np.zeros(10_000, np.uint8)}, "x is larger than"),
        ({"y": np.zeros((2, 3), np.uint8)}, "x.npy"),
        ({"x": np.array([{}], dtype=object)}, "pickle"),
    ],
)
def test_other_arrays_are_refused(arrays: dict[str, np.ndarray], message: str, folder: Path) -> None:
    with pytest.raises(HwsimError, match=message):
        small(folder, **arrays)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65_535, "x is larger than"),  # a header of 64 KiB
        (b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9, 9, 9), }\n", "damaged"),
        (b"\x93NUMPY\x01\x00\x10\x00__import__('os')\n", "damaged"),
        (b"", "damaged"),
    ],
)
def test_headers_that_lie_are_refused(raw: bytes, message: str, folder: Path) -> None:
    (folder / "some").mkdir()
    with zipfile.ZipFile(folder / "some" / "some.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", raw)
    with pytest.raises(HwsimError, match=message):
        read_small()


@pytest.mark.parametrize("bytes_left", [0, 10, 100, 200])
def test_a_truncated_file_is_refused(bytes_left: int, folder: Path) -> None:
    small(folder, x=np.zeros((2, 3), np.uint8))
    path = folder / "some" / "some.npz"
    path.write_bytes(path.read_bytes()[:bytes_left])
    with pytest.raises(HwsimError, match=r"damaged or another file .*get it from somewhere; docs/datasets\.md"):
        read_small()


def test_a_flipped_byte_is_found(folder: Path) -> None:
    small(folder, x=np.zeros((2, 3), np.uint8))
    path = folder / "some" / "some.npz"
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"\n", raw.index(b"descr")) + 3] ^= 1  # in the six zeros
    path.write_bytes(raw)
    with pytest.raises(HwsimError, match="damaged"):
        read_small()


def test_checksums(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    assert md5(path) == "b1946ac92492d2347c6235b4d2611184"
    assert git_blob(path) == "ce013625030ba8dba906f756967f9e9ca394464a"  # as git hash-object prints
    verify(path, md5, "b1946ac92492d2347c6235b4d2611184")
    with pytest.raises(ValueError, match=r"its git_blob is ce01.*, not 0000"):
        verify(path, git_blob, "0000")


def test_the_blob_id_is_that_of_git(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(3_000_000))
    try:
        hashed = subprocess.run(
            ["git", "hash-object", "--no-filters", path], capture_output=True, text=True, check=True
        )
    except OSError:
        pytest.skip("no git here")
    assert git_blob(path) == hashed.stdout.strip()


def packed(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, raw in members:
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def plain(name: str) -> tarfile.TarInfo:
    return tarfile.TarInfo(name)


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


def test_members_are_read_by_name_and_nothing_is_unpacked(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tgz", [(plain("../../evil"), b"x"), (plain("some/where/data"), b"12")])
    with archive_members(path, {"data": 2}) as member:
        assert member("data").read() == b"12"
        with pytest.raises(ValueError, match="no file other"):
            member("other")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([(plain("data"), b"123")], "has 3 bytes; at most 2"),
        ([(link("data"), b"")], "not one plain file"),
        ([(plain("data"), b"1"), (plain("b/data"), b"2")], "not one plain file"),
        ([(plain(f"{i}"), b"") for i in range(MAX_MEMBERS + 1)], "more than"),
    ],
)
def test_strange_archives_are_refused(members: list, message: str, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tgz", members)
    with pytest.raises(ValueError, match=message), archive_members(path, {"data": 2}):
        pass
