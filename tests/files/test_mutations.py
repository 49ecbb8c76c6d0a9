"""Mutated files of every format are read, or refused with HwsimError, never with another error."""

from __future__ import annotations

import io
import re
import sqlite3
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets.files import ArraySpec, archive_members, damage_reported, read_array
from hwsim.debug.inputs import read_codes
from hwsim.debug.runs import RunFile, write_run
from hwsim.design import Design, read_toml
from hwsim.errors import HwsimError
from hwsim.files.archive import open_archive
from hwsim.formats import LOGITS, Format, QTensor
from hwsim.interop.topology.csv_reader import read_topology
from hwsim.machine.description.toml_file import load_accelerator
from hwsim.machine.technology.provenance import read_prices
from hwsim.network.file import load, save
from hwsim.network.fixed_point import requantizer
from hwsim.network.graph import Network
from hwsim.network.layer import Geometry, Layer, Op
from hwsim.privacy.audit.npz_input import read as read_audit
from hwsim.privacy.game import balanced_keep
from hwsim.study.results.store import read_store, write_store
from hwsim.training.checkpoint import Checkpoint, read_arrays, write_arrays

QUICK, LONG = 300, 20_000
"""Mutations of each format in `make test` and in `make test-long`."""

ROOT = Path(__file__).parents[2]

ODD_WORDS = [
    b"-1", b"0", b"1", b"2", b"7", b"255", b"65536", b"2147483648", b"-9223372036854775809", b"18446744073709551616",
    b"9" * 400, b"9" * 5000, b"1e999", b"-0.0", b"nan", b"NaN", b"Infinity", b"0.5", b"true", b"True", b"null", b"None",
    b"[]", b"{}", b"()", b"(1,)", b"[[[[1]]]]", b"(" * 300, b"[" * 300, b'""', b'"x"', b"'x'", b"x", b"", b"\x00",
    b"\xff",     b"'|O'", b"'<f8'", b"'>i2'", b"'|b1'", b"'<U9'", b"=1+1", b",", b"\n", b'"', b"#", b"../x",
]  # fmt: skip
"""Replacements of numbers and words."""

WORD = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?|'[^']{0,20}'|\"[^\"]{0,20}\"|\w+|\([^()]{0,20}\)")


@dataclass(frozen=True)
class Kind:
    """A format: functions that write and read a valid file, and its parts: text, zip entries or rows."""

    write: Callable[[Path], None]
    read: Callable[[Path], object]
    parts: str = "text"


def network() -> Network:
    rng = np.random.default_rng(0)
    u8, s4 = Format(8), Format(4, signed=True)
    weight = QTensor(rng.integers(-8, 8, (2, 1, 3, 3)), s4, np.array([0.1, 0.3]))
    layers = (
        Layer("conv", Op.CONV, ("input",), u8, 0.02, weight, np.array([5, -70_000]),
              requantizer([0.01, 0.003], u8, relu=True), Geometry((3, 3), (1, 1), (1, 1))),
        Layer("flat", Op.FLATTEN, ("conv",), u8, 0.02),
        Layer("out", Op.LINEAR, ("flat",), LOGITS, 1e-3, QTensor(rng.integers(-8, 8, (3, 32)), s4), np.zeros(3, int)),
    )  # fmt: skip
    return Network(u8, (1, 4, 4), 1 / 255, layers)


NETWORK = network()


def _write_audit(path: Path) -> None:
    logits = np.random.default_rng(0).normal(size=(4, 10, 3)).astype(np.float32)
    with path.open("wb") as file:
        np.savez_compressed(file, logits=logits, keep=balanced_keep(4, 10, 0), labels=np.arange(10) % 3)


def _write_codes(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 1, 4, 4), np.uint8))


def _read_run(path: Path) -> None:
    for _ in RunFile(path).values():
        pass


STATE = {"w": np.zeros((2, 3), np.float32), "n": np.array(3)}


def _read_checkpoint(path: Path) -> None:
    """Read a checkpoint, for which a damaged file is a missing one."""
    if Checkpoint(path, "k").load(STATE) is None:
        raise HwsimError("no checkpoint")


def _write_store(path: Path) -> None:
    with write_store(path.parent, {"study": {"name": "s"}, "axes": {}}) as store:
        store.add("k1", {"a": 1}, {"accuracy": 0.5, "macs": 3, "lira_auc": 0.6, "warnings": "none"})
    (path.parent / "study.db").rename(path)


def _read_store(path: Path) -> None:
    path.replace(path.parent / "study.db")
    with read_store(path.parent) as store:
        assert isinstance(store.study["study"], dict)
        for result in store.results().values():
            assert isinstance(result.columns, dict)


def _read_dataset(path: Path) -> None:
    spec = ArraySpec((2, 3), "uint8", "")
    with damage_reported("some", path, "from somewhere"), open_archive(path) as archive:
        read_array(archive, "x", int(np.prod(spec.shape)))


def _write_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("some/data")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"0,1\n"))


def _read_tar(path: Path) -> None:
    with damage_reported("some", path, "from somewhere"), archive_members(path, {"data": 100}) as member:
        member("data").read()


def _text(text: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(text, encoding="utf-8") and None


ACCELERATOR = (ROOT / "accel_models" / "accelerators" / "tiny.toml").read_text(encoding="utf-8")

KINDS = {
    "network": Kind(lambda path: save(NETWORK, path), load, "zip"),
    "run": Kind(lambda p: write_run(p, {"input": np.zeros((2, 3), np.int8), "x": np.arange(4)}), _read_run, "zip"),
    "codes": Kind(_write_codes, lambda path: read_codes(path, NETWORK)),
    "audit": Kind(_write_audit, read_audit, "zip"),
    "checkpoint": Kind(lambda p: Checkpoint(p, "k").save(3, STATE), _read_checkpoint, "zip"),
    "stored model": Kind(lambda path: write_arrays(path, STATE), read_arrays, "zip"),
    "data set": Kind(lambda path: write_arrays(path, {"x": np.zeros((2, 3), np.uint8)}), _read_dataset, "zip"),
    "data archive": Kind(_write_tar, _read_tar),
    "study.db": Kind(_write_store, _read_store, "rows"),
    "topology": Kind(
        _text("Layer name,IFMAP Height,IFMAP Width,Filter Height,Filter Width,Channels,Num Filter,Strides,Padding\n"
              "a,8,8,3,3,3,8,1,1\nb,8,8,1,1,8,8,2,0\n"), read_topology),
    "prices": Kind(_text('item,pJ_per_bit,source\ndram,4.5,"measured, twice"\n'), lambda p: read_prices(p, ["dram"])),
    "design": Kind(_text('seed = 3\nattacks = ["loss"]\n[quantizer]\nname = "minmax"\nw_bits = 4\n'),
                   lambda path: Design.resolve(read_toml(path))),
    "accelerator": Kind(_text(ACCELERATOR), load_accelerator),
}  # fmt: skip


def mutated_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Return the data with one to four changes: bits, bytes, words, parts moved, repeated or cut."""
    for _ in range(rng.integers(1, 5)):
        size = len(data)
        a, b = sorted(rng.integers(0, size + 1, 2).tolist())
        b = min(b, a + 64)
        match rng.integers(0, 7):
            case 0 if size:
                changed = bytearray(data)
                changed[min(a, size - 1)] ^= 1 << int(rng.integers(0, 8))
                data = bytes(changed)
            case 1:
                data = data[:a] + rng.bytes(int(rng.integers(1, 9))) + data[b:]
            case 2:
                data = data[:a] + data[b:]
            case 3:
                data = data[:b] + data[a:]
            case 4:
                data = data[:a]
            case 5:
                value = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
                data = data[:a] + value.to_bytes(4, "little") + data[a + 4 :]
            case _:
                data = with_odd_word(rng, data)
    return data


def with_odd_word(rng: np.random.Generator, data: bytes) -> bytes:
    """Return the data with one number or word replaced by an odd one."""
    found = list(WORD.finditer(data[:20_000]))
    if not found:
        return data
    chosen = found[int(rng.integers(len(found)))]
    return data[: chosen.start()] + ODD_WORDS[int(rng.integers(len(ODD_WORDS)))] + data[chosen.end() :]


def mutated_zip(rng: np.random.Generator, data: bytes) -> bytes:
    """Return the zip with one entry changed, renamed, repeated or left out, with right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    place = int(rng.integers(len(entries)))
    name, content = entries[place]
    match rng.integers(0, 8):
        case 0:
            del entries[place]
        case 1:
            entries.append((name, content))
        case 2:
            entries[place] = (["x.npy", "../x", "input", "x/", "a/" * 200, "keep.npy"][rng.integers(6)], content)
        case 3 if content[:6] == b"\x93NUMPY":
            header = with_odd_word(rng, content[10 : 10 + content[8]])
            entries[place] = (
                name,
                content[:8] + len(header).to_bytes(2, "little") + header + content[10 + content[8] :],
            )
        case 4:
            entries[place] = (name, mutated_bytes(rng, content))
        case _:
            entries[place] = (name, with_odd_word(rng, content))
    out = io.BytesIO()
    packing = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2][rng.choice(3, p=[0.8, 0.15, 0.05])]
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", packing) as archive:
        warnings.simplefilter("ignore")
        for entry, content in entries:
            archive.writestr(entry, content)
    return out.getvalue()


def mutated_rows(rng: np.random.Generator, path: Path) -> None:
    """Change one value in a database."""
    table, column = [
        ("points", "key"),
        ("points", "status"),
        ("points", "result"),
        ("meta", "value"),
        ("meta", "name"),
    ][rng.integers(5)]
    connection = sqlite3.connect(path)
    try:
        with connection:
            (value,) = connection.execute(f"SELECT {column} FROM {table} ORDER BY random() LIMIT 1").fetchone()
            odd = [mutated_bytes(rng, value.encode()), 7, 0.5, with_odd_word(rng, value.encode()).decode("latin-1")]
            new = odd[rng.choice(4, p=[0.1, 0.1, 0.1, 0.7])]
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, value))
    except sqlite3.Error:
        pass
    finally:
        connection.close()


def mutate(kind: Kind, number: int, valid: bytes, path: Path) -> None:
    """Write mutation `number` of a valid file to `path`."""
    rng = np.random.default_rng([number])
    if kind.parts == "zip" and number % 2:
        path.write_bytes(mutated_zip(rng, valid))
    elif kind.parts == "rows" and number % 2:
        path.write_bytes(valid)
        mutated_rows(rng, path)
    else:
        path.write_bytes(mutated_bytes(rng, valid))


def survive(name: str, numbers: range, folder: Path) -> None:
    """Read mutations of a format; any error but HwsimError fails, with the number of the mutation."""
    kind = KINDS[name]
    kind.write(folder / "valid")
    valid = (folder / "valid").read_bytes()
    kind.read(folder / "valid")
    read = 0
    for number in numbers:
        path = folder / "mutated.checkpoint"
        mutate(kind, number, valid, path)
        try:
            kind.read(path)
            read += 1
        except HwsimError as error:
            assert len(str(error)) < 20_000, number
        except Exception as error:
            error.add_note(f"{name}, mutation {number}")
            raise
    assert read < len(numbers), "no mutation was noticed"


@pytest.mark.parametrize("name", KINDS)
def test_mutated_files_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_MEMORY", "64MiB")
    survive(name, range(QUICK), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", KINDS)
def test_many_mutated_files_are_read_or_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_MEMORY", "64MiB")
    survive(name, range(QUICK, QUICK + LONG), tmp_path)
