"""Arrays and archives that lie are refused with one line, before memory is taken; special files are never opened."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError
from hwsim.files.archive import open_archive
from hwsim.files.npy import read_array
from hwsim.files.reading import open_file, read_text


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version[0] == 1 else 4, "little") + text + data


def array_of(data: bytes) -> np.ndarray:
    return read_array(io.BytesIO(data), len(data), "x.npy")


def described(descr: str = "'<i4'", order: str = "False", shape: str = "(2,)") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}", bytes(8))


@pytest.mark.parametrize("dtype", ["?", "i1", ">i2", "<u8", "f2", ">f8", "f4"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (4, 1, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numpy_come_back(dtype: str, shape: tuple[int, ...], order: str) -> None:
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, dtype=dtype, order=order)  # type: ignore[call-overload]
    out = io.BytesIO()
    np.save(out, array)
    found = array_of(out.getvalue())
    assert (found.shape, found.dtype) == (shape, array.dtype.newbyteorder("="))
    assert (found == array).all()


@pytest.mark.parametrize(
    "data",
    [
        described(shape="(True,)"),
        described(shape="(2.0,)"),
        described(shape="((2,),)"),
        described(shape="(2)"),
        described(shape="[2]"),
        described(shape="(,)"),
        described(shape="(-1,)"),
        described(shape="(2, -2)"),
        described(shape=f"({'9' * 5000},)"),
        described(shape="(" * 400 + ")" * 400),
        described(shape="(" + "1, " * 40 + ")"),
        described(shape="(0, 999999999999999999, 999999999999)"),
        described(shape="(4,)"),
        described(order="0"),
        described(order="None"),
        described(descr="'|O'"),
        described(descr="[('a', '<i4')]"),
        described(descr="('<i4', (2,))"),
        described(descr="'(2,)<i4'"),
        described(descr="'<c8'"),
        described(descr="'<f16'"),
        described(descr="'<i3'"),
        described(descr="'V8'"),
        described(descr="'<M8[s]'"),
        described(descr="'|b1'", shape="(8,)")[:-1] + b"\x02",
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'more': 1}", bytes(8)),
        npy("{'descr': '<i4', 'shape': (2,)}", bytes(8)),
        npy("{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2,)}", bytes(8)),
        npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}" + " " * 20_000, bytes(8)),
        npy("__import__('os').getcwd()"),
        described().replace(b"\x93", b"\x94"),
        b"\x93NUMPY\x03\x00" + described()[8:],
        b"\x93NUMPY\x01\x00\xff\xff" + described()[10:],
        described()[:-1],
        described() + b"x",
        b"",
    ],
)
def test_headers_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(HwsimError, match=r"^x\.npy: ") as caught:
        array_of(data)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_memory_counts_the_widened_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_MEMORY", "8MiB")
    data = npy("{'descr': '|i1', 'fortran_order': False, 'shape': (1000000,), }", bytes(1_000_000))
    with pytest.raises(BadInput, match=r"need 9 MiB of memory; allowed: at most 8 MiB\. HWSIM_MEMORY sets another"):
        array_of(data)
    monkeypatch.setenv("HWSIM_MEMORY", "much")
    with pytest.raises(BadInput, match="HWSIM_MEMORY: got much; allowed: a size in MiB or GiB"):
        array_of(data)


def saved(path: Path, compression: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", described())
        archive.writestr("b.npy", described())
    return path.read_bytes()


def test_descriptors_and_large_markers_of_other_writers_are_read(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    out = Pipe()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w", force_zip64=True) as entry,
    ):
        entry.write(described())
    (tmp_path / "a.npz").write_bytes(out.getvalue())
    with open_archive(tmp_path / "a.npz") as found:
        assert found.array("a").tolist() == [0, 0]


@pytest.mark.parametrize("name", ["../a.npy", "/a.npy", "a\\..\\b.npy", "a\nb.npy"])
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr(name, described())
    with pytest.raises(BadInput, match="got an odd name"), open_archive(tmp_path / "a.npz"):
        pass


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    whole = saved(path)
    first, second = (whole.index(b"PK\x01\x02"), whole.rindex(b"PK\x01\x02"))

    def patched(offset: int, data: bytes) -> bytes:
        return whole[:offset] + data + whole[offset + len(data) :]

    cases = {
        "encrypted": patched(first + 8, b"\x01\x00"),
        "compression 12": patched(first + 10, b"\x0c\x00"),
        "checksum": patched(first + 16, bytes(4)),
        "size": patched(first + 20, struct.pack("<LL", 10, 20)),
        "overlap": patched(second + 42, whole[first + 42 : first + 46]),
        "same name": patched(second + 46, b"a"),
        "far away": patched(first + 42, b"\xf0\xff\xff\x7f"),
        "cut": whole[:-1],
        "half": whole[: len(whole) // 2],
    }
    for name, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(HwsimError, match=r"a\.npz"), open_archive(path) as archive:
            archive.arrays(["a", "b"])
            pytest.fail(name)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = b"{'descr': '|i1', 'fortran_order': False, 'shape': (1000000000,), }\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as entry:
        entry.write(content)
        for _ in range(100):
            entry.write(bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(BadInput, match="arrays that need 8,584 MiB"), open_archive(tmp_path / "a.npz") as found:
        found.arrays(["a"])
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_special_files_are_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path, words in {
        tmp_path / "fifo": "got a FIFO; allowed: a regular file",
        tmp_path / "link": "got a FIFO",
        Path("/dev/zero"): "got a device",
        tmp_path: "Is a directory",
        tmp_path / "loop": "cannot be read",
        tmp_path / ("x" * 300): "File name too long",
        tmp_path / "no\0": "cannot be read: embedded null",
    }.items():
        with pytest.raises(HwsimError, match=words):
            open_file(path)
    (tmp_path / "text").write_bytes(b"a\xff")
    with pytest.raises(HwsimError, match=r"text: not a text file in UTF-8 \(byte 1\)"):
        read_text(tmp_path / "text")
    with pytest.raises(BadInput, match="more than 1 bytes"):
        read_text(tmp_path / "text", 1)
