from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import BadInput, HwsimError
from hwsim.privacy import balanced_keep, score
from hwsim.privacy.audit.npz_input import read
from hwsim.registry import build

MODELS, SAMPLES, CLASSES = 4, 30, 3


def good() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "logits": rng.normal(size=(MODELS, SAMPLES, CLASSES)),
        "keep": balanced_keep(MODELS, SAMPLES, 0),
        "labels": np.arange(SAMPLES) % CLASSES,
    }


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "models.npz"
    np.savez(path, **arrays)
    return path


def test_arrays_come_back_as_the_channels_of_a_game(tmp_path: Path) -> None:
    arrays = good()
    inputs = np.arange(SAMPLES * 4).reshape(SAMPLES, 2, 2).astype(np.uint8)
    cycles = np.arange(MODELS * SAMPLES).reshape(MODELS, SAMPLES).astype(np.int32)
    path = write(tmp_path, **arrays, inputs=inputs, latency_cycles=cycles)
    found = read(path)
    assert (found.game.keep == arrays["keep"]).all()
    assert found.game.labels.dtype == np.int64
    attacks = [build("attack", "loss"), build("attack", "latency"), build("attack", "gap")]
    seen = found.observed(attacks)
    assert sorted(seen) == ["inputs", "label", "latency_cycles", "logits"]
    assert (seen["logits"] == arrays["logits"]).all()
    assert (seen["label"] == arrays["logits"].argmax(axis=2)).all()
    assert (seen["latency_cycles"] == cycles).all()
    assert seen["inputs"].shape == (MODELS, SAMPLES, 4)
    assert (seen["inputs"][2] == inputs.reshape(SAMPLES, 4)).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float16, np.float32])
def test_integers_and_short_floats_are_accepted(tmp_path: Path, dtype: Any) -> None:
    arrays = good() | {"keep": balanced_keep(MODELS, SAMPLES, 0).astype(np.uint8)}
    arrays["logits"] = (20 * np.abs(arrays["logits"])).astype(dtype)
    found = read(write(tmp_path, **arrays))
    assert found.channels["logits"].dtype == np.float64
    assert (found.channels["logits"] == arrays["logits"]).all()


def test_compressed_files_and_arrays_in_columns_first_order_are_read_too(tmp_path: Path) -> None:
    arrays = good()
    np.savez_compressed(tmp_path / "small.npz", **(arrays | {"logits": np.asfortranarray(arrays["logits"])}))
    assert (read(tmp_path / "small.npz").channels["logits"] == arrays["logits"]).all()


def test_arrays_of_other_names_are_not_read_but_named(tmp_path: Path) -> None:
    other = np.array([{"code": "that must not run"}], dtype=object)
    path = write(tmp_path, **good(), latency_cycle=np.zeros((MODELS, SAMPLES)), zzz=other)
    assert read(path).unused == ("latency_cycle (did you mean latency_cycles?)", "zzz")


def at(values: Any, place: Any, value: Any) -> Any:
    changed = np.array(values)
    changed[place] = value
    return changed


ARRAYS = good()
LOGITS, KEEP, LABELS = ARRAYS["logits"], ARRAYS["keep"], ARRAYS["labels"]
SOFT = np.full((MODELS, SAMPLES, CLASSES), 1 / CLASSES)

BAD = {
    "logits nan": ({"logits": at(LOGITS, (1, 2, 0), np.nan)}, "logits: got nan at model 1, sample 2, place 0; allowed"),
    "logits inf": ({"logits": at(LOGITS, (3, 0, 2), np.inf)}, "logits: got inf at model 3, sample 0, place 2; allowed"),
    "logits flat": ({"logits": LOGITS[0]}, "logits: got float64 (30, 3); allowed: real numbers [models, samples, cl"),
    "logits complex": ({"logits": LOGITS + 1j}, "logits: got complex values; allowed: booleans, integers"),
    "logits words": ({"logits": LOGITS.astype(str)}, "logits: got <U32 values; allowed: numbers"),
    "one class": ({"logits": LOGITS[:, :, :1]}, "logits: got float64 (4, 30, 1); allowed: real numbers [models, sam"),
    "one label": ({"labels": np.ones(SAMPLES, int)}, "labels: got one class only, 1; allowed: two classes or more"),
    "keep turned": ({"keep": KEEP.T}, "keep: got shape (30, 4); allowed: shape (4, 30), [models, samples] of the logi"),
    "keep two": ({"keep": at(KEEP.astype(int), (2, 5), 2)}, "keep: got 2 at model 2, sample 5; allowed: False and Tr"),
    "keep float": ({"keep": KEEP * 0.5}, "keep: got float64 numbers; allowed: False and True, or 0 and 1"),
    "labels short": ({"labels": LABELS[1:]}, "labels: got shape (29,); allowed: shape (30,), [samples] of the logits"),
    "labels high": ({"labels": at(LABELS, 4, 3)}, "labels: got 3 at sample 4; allowed: 0 to 2, the classes of the lo"),
    "labels below": ({"labels": at(LABELS, 4, -1)}, "labels: got -1 at sample 4; allowed: 0 to 2"),
    "labels float": ({"labels": LABELS * 1.0}, "labels: got float64 numbers; allowed: integers 0 to 2"),
    "sum": ({"probabilities": at(SOFT, (1, 3), 0.5)}, "probabilities: got a sum of 1.5 at model 1, sample 3; allowed: "
            "probabilities that sum to one, within 0.05"),
    "below zero": ({"probabilities": at(SOFT, (0, 2), [1.5, -0.5, 0])}, "probabilities: got a negative one at model 0"),
    "channel shape": ({"energy_pj": LOGITS}, "energy_pj: got shape (4, 30, 3); allowed: [models, samples] with 4 mode"),
    "channel classes": ({"float_logits": LOGITS[:, :, :2]}, "float_logits: got shape (4, 30, 2); allowed: [models, sa"),
    "channel nan": ({"energy_pj": at(LOGITS[..., 0], (0, 1), np.nan)}, "energy_pj: got nan at model 0, sample 1; allo"),
    "inputs": ({"inputs": np.zeros((29, 2))}, "inputs: got shape (29, 2); allowed: [samples, ...] with 30 samples"),
    "objects": ({"logits": LOGITS.astype(object)}, "logits: got pickled objects; allowed: plain numbers; nothing in a"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_named_with_their_place(tmp_path: Path, name: str) -> None:
    changes, words = BAD[name]
    path = write(tmp_path, **(good() | changes))
    with pytest.raises(BadInput) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} {words}")
    assert "\n" not in str(caught.value)


def test_eight_bit_probabilities_may_miss_one_by_their_rounding(tmp_path: Path) -> None:
    read(write(tmp_path, **good(), probabilities=np.round(SOFT * 256) / 256))


def test_a_missing_array_is_named_with_the_nearest_that_is_there(tmp_path: Path) -> None:
    arrays = good()
    path = write(tmp_path, logits=arrays["logits"], keep=arrays["keep"], label_s=arrays["labels"])
    with pytest.raises(BadInput) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path} labels: got arrays keep, label_s, logits; allowed: an array labels [samples]. Did you mean 'label_s'?"
    )


def test_a_channel_that_an_attack_lacks_is_named(tmp_path: Path) -> None:
    found = read(write(tmp_path, **good()))
    with pytest.raises(BadInput, match="got no array latency_cycles, which the attack latency needs; allowed: add an "):
        found.observed([build("attack", "latency")])


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8), }"), "a header of 6400000"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", bytes(8)), "a shape with a negative"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", bytes(8)), "got pickled objects"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", bytes(8)), "a header of 16 bytes before 8 b"),
        (npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': ()}"), "got a header"),
        (b"\x93NUMPY\x03\x00", "got a .npy array of version 3.0; allowed"),
        (b"hello", "got something that is not an array; allowed"),
        (b"", "got something that is not an array; allowed"),
    ],
)  # fmt: skip
def test_headers_are_checked_before_memory_is_allocated(tmp_path: Path, entry: bytes, words: str) -> None:
    path = write(tmp_path, keep=KEEP, labels=LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("logits.npy", entry)
    with pytest.raises(BadInput) as caught:
        read(path)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path} logits: ")


def test_memory_is_counted_as_float64_and_refused_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models, samples = 8, 25_000  # 2 MB of int8, 18 MB with its copy as float64
    keep = balanced_keep(models, samples, 0)
    arrays = {"logits": np.zeros((models, samples, 10), np.int8), "keep": keep, "labels": np.arange(samples) % 10}
    path = tmp_path / "small.npz"
    np.savez_compressed(path, **arrays)
    assert path.stat().st_size < 150_000
    monkeypatch.setenv("HWSIM_MEMORY", "16MiB")
    with pytest.raises(
        BadInput, match=r"small\.npz: got arrays that need 20 MiB of memory; allowed: at most 16 MiB\. HW"
    ):
        read(path)
    monkeypatch.setenv("HWSIM_MEMORY", "32MiB")
    assert read(path).channels["logits"].nbytes == 16_000_000


def test_a_small_file_that_claims_to_unpack_to_a_huge_one_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, keep=KEEP, labels=LABELS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("logits.npy", bytes(1 << 20))
        archive.getinfo("logits.npy").file_size = 1 << 40
    with pytest.raises(BadInput, match=r"logits\.npy'?: got .* bytes in .* bytes|list of entries|a size that can be"):
        read(path)


def test_a_file_that_is_not_an_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HwsimError, match=r"none\.npz: cannot be read: No such file or directory"):
        read(tmp_path / "none.npz")
    with pytest.raises(HwsimError, match="cannot be read: Is a directory"):
        read(tmp_path)
    (tmp_path / "text.npz").write_text("logits")
    with pytest.raises(BadInput, match=r"text\.npz: got not a complete \.npz file"):
        read(tmp_path / "text.npz")
    whole = write(tmp_path, **good()).read_bytes()
    for cut in (len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.npz").write_bytes(whole[:cut])
        with pytest.raises(BadInput, match=r"cut\.npz: got not a complete \.npz file"):
            read(tmp_path / "cut.npz")
    damaged = bytearray(whole)
    damaged[len(whole) // 4] ^= 255
    (tmp_path / "damaged.npz").write_bytes(bytes(damaged))
    with pytest.raises(HwsimError, match=r"damaged\.npz"):
        read(tmp_path / "damaged.npz")
    buffer = io.BytesIO()
    np.save(buffer, LOGITS)
    (tmp_path / "logits.npy").write_bytes(buffer.getvalue())
    with pytest.raises(BadInput, match=r"logits\.npy: got not a complete \.npz file"):
        read(tmp_path / "logits.npy")


def test_scores_of_arrays_need_neither_file_nor_framework() -> None:
    arrays = good()
    by_name = score("loss", **arrays)
    assert by_name.shape == (MODELS, SAMPLES)
    assert (score(build("attack", "loss"), **arrays) == by_name).all()
    assert (score("loss", **arrays, targets=[2, 0]) == by_name[[2, 0]]).all()
    right = score("gap", arrays["logits"], arrays["keep"].astype(int), arrays["labels"].astype(np.uint8))
    assert (right == (arrays["logits"].argmax(axis=2) == arrays["labels"])).all()
    assert np.isfinite(score("entropy", **arrays)).all()
    with pytest.raises(BadInput, match="attack latency: got the channel latency_cycles; allowed: channels of logits"):
        score("latency", **arrays)
    with pytest.raises(BadInput, match="logits: got nan at model 0"):
        score("loss", at(LOGITS, (0, 0, 0), np.nan), KEEP, LABELS)
