"""An interrupted training continues with the same bits as an uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.datasets import Data
from hwsim.errors import HwsimError
from hwsim.privacy.game import balanced_keep
from hwsim.registry import build
from hwsim.training import fit
from hwsim.training.checkpoint import Checkpoint
from hwsim.training.ensemble import Members, train
from tests.support.interrupted_training import StopAfter, Stopped, assert_same

MODELS, SAMPLES = 4, 120


@pytest.fixture(scope="module")
def members() -> Members:
    data: Data = build("dataset", "digits", label_noise=0.15).load(0)
    return Members(data.x[:SAMPLES], data.labels[:SAMPLES], balanced_keep(MODELS, SAMPLES, 0), first=2, seed=5)


MODEL = build("model", "small_cnn", channels=(3, 4), epochs=4, batch=16, weight_decay=1e-3)
ROBUST = build("model", "mlp", hidden=(8,), epochs=4, adversarial_eps=0.1, adversarial_steps=2)


@pytest.mark.parametrize("model", [MODEL, ROBUST], ids=["small_cnn", "robust mlp"])
@pytest.mark.parametrize("group_bytes", [fit.GROUP_BYTES, 1], ids=["one group", "pairs"])
def test_an_interrupted_training_continues_with_the_same_bits(
    members: Members, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: object, group_bytes: int
) -> None:
    monkeypatch.setattr(fit, "GROUP_BYTES", group_bytes)
    straight, file = train(model, members).weights, tmp_path / "models" / "key.checkpoint"
    for epochs in (1, 2):
        with pytest.raises(Stopped):
            train(model, members, StopAfter(epochs), file)
    last = StopAfter()
    assert_same(train(model, members, last, file).weights, straight)
    assert last.run == 1, "three of four epochs were done before"
    assert not list(file.parent.iterdir()), "a finished training leaves no file"


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 1e-3}, {"seed": 6}, {"first": 0}, {"labels": 0}, {"keep": 0}],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_another_setting_is_not_used(members: Members, tmp_path: Path, change: dict) -> None:
    file = tmp_path / "c"
    with pytest.raises(Stopped):
        train(MODEL, members, StopAfter(2), file)
    name, value = next(iter(change.items()))
    model = MODEL.model_copy(update=change) if name == "learning_rate" else MODEL
    settings = {field: getattr(members, field) for field in ("x", "labels", "keep", "first", "seed")}
    if name in ("labels", "keep"):
        value = settings[name].copy()
        value.flat[0] = not value.flat[0] if name == "keep" else (value.flat[0] + 1) % 10
    other = Members(**settings | {name: value}) if name != "learning_rate" else members
    all_epochs = StopAfter()
    assert_same(train(model, other, all_epochs, file).weights, train(model, other).weights)
    assert all_epochs.run == 4
    assert not file.exists()


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04 half a file", b"no archive at all"])
def test_a_file_that_is_not_a_checkpoint_is_overwritten(members: Members, tmp_path: Path, junk: bytes) -> None:
    (file := tmp_path / "c.checkpoint").write_bytes(junk)
    every = StopAfter()
    train(MODEL, members, every, file)
    assert every.run == 4
    assert not file.exists()


def test_a_file_of_another_program_is_neither_overwritten_nor_removed(members: Members, tmp_path: Path) -> None:
    (file := tmp_path / "notes").write_text("mine")
    with pytest.raises(HwsimError, match="got a file that hwsim did not write"):
        train(MODEL, members, checkpoint=file)
    assert file.read_text() == "mine"


def test_a_checkpoint_contains_the_saved_arrays_for_its_key_only(tmp_path: Path) -> None:
    arrays = {"value a.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    checkpoint = Checkpoint(tmp_path / "c", "key")
    assert checkpoint.load(arrays) is None
    checkpoint.save(3, arrays)
    epochs, loaded = checkpoint.load(arrays) or (0, {})
    assert epochs == 3
    np.testing.assert_array_equal(loaded["value a.weight"], arrays["value a.weight"])
    assert Checkpoint(tmp_path / "c", "other key").load(arrays) is None
    assert checkpoint.load({"value a.weight": np.zeros((2, 4), np.float32)}) is None
    assert checkpoint.load({"value a.weight": np.zeros((2, 3))}) is None
    assert checkpoint.load({"value b.weight": np.zeros((2, 3), np.float32)}) is None


def test_an_archive_larger_than_expected_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "c.checkpoint").open("wb") as file:
        np.savez_compressed(file, key=np.array("key"), epochs=np.array(1), **{"state a": np.zeros(3_000_000)})
    assert (tmp_path / "c.checkpoint").stat().st_size < 100_000
    monkeypatch.setattr(np, "load", lambda *given, **settings: pytest.fail("it was read"))
    assert Checkpoint(tmp_path / "c.checkpoint", "key").load({"a": np.zeros(4)}) is None


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    with (tmp_path / "c.checkpoint").open("wb") as file:
        np.savez(file, key=np.array("key"), epochs=np.array(1), **{"state a": np.array([{}], dtype=object)})
    assert Checkpoint(tmp_path / "c.checkpoint", "key").load({"a": np.zeros(1)}) is None
