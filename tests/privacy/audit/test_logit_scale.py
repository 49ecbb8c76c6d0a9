"""Integers and probabilities given as logits: scaled, or told about."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.errors import BadInput, HwsimError
from hwsim.privacy import Game, Observation, audit, balanced_keep
from hwsim.privacy.audit.logit_scale import notes_on, scaled
from hwsim.privacy.audit.npz_input import read
from hwsim.privacy.observation.channels.outputs import softmax
from hwsim.privacy.observation.observe import stack
from hwsim.registry import build

MODELS, SAMPLES = 6, 80


def arrays() -> dict[str, np.ndarray]:
    """Return an audit file's arrays with integer logits, one unit of which is another real number in each model."""
    rng = np.random.default_rng(0)
    keep, labels = balanced_keep(MODELS, SAMPLES, seed=0), rng.integers(4, size=SAMPLES)
    logits = rng.normal(size=(SAMPLES, 4)) + rng.normal(size=(MODELS, SAMPLES, 4))
    logits[:, np.arange(SAMPLES), labels] += 2 * keep
    scale = 2.0 ** -np.arange(4.0, 4 + MODELS)
    codes = np.round(logits / scale[:, None, None]).astype(np.int32)
    return {"logits": codes, "keep": keep, "labels": labels, "logit_scale": scale}


def observed(path: Path, given: dict[str, np.ndarray], scale: float | None = None) -> np.ndarray:
    np.savez(path, **given)  # type: ignore[arg-type]
    return read(path, scale).observed([build("attack", "lira")])["logits"]


@pytest.mark.parametrize("shape", ["number", "model", "class"])
def test_an_audit_of_integers_is_that_of_their_real_values(shape: str, tmp_path: Path) -> None:
    given = arrays()
    codes = given["logits"]
    scales = {
        "number": np.array(0.25),
        "model": given["logit_scale"],
        "class": np.full((MODELS, 4), 0.5) * [1, 2, 3, 4],
    }
    scale = scales[shape]
    real = codes * scale.reshape({"number": (), "model": (-1, 1, 1), "class": (MODELS, 1, 4)}[shape])
    np.testing.assert_array_equal(observed(tmp_path / "a.npz", given | {"logit_scale": scale}), real)
    np.testing.assert_array_equal(observed(tmp_path / "a.npz", given, 0.125), codes * 0.125)
    for attack in ("loss", "lira", "entropy", "rmia"):
        scores = hwsim.score(attack, codes, given["keep"], given["labels"], logit_scale=scale)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(scores, hwsim.score(attack, real, given["keep"], given["labels"]))


def test_integers_without_a_scale_are_told_about(tmp_path: Path) -> None:
    given = arrays()
    scale = given.pop("logit_scale")
    with pytest.warns(UserWarning, match="whole numbers without logit_scale: one unit counts as one logit"):
        hwsim.score("loss", given["logits"], given["keep"], given["labels"])
    for logits in (given["logits"], given["logits"].astype(np.float32)):
        np.savez(tmp_path / "a.npz", **(given | {"logits": logits}))
        assert "without logit_scale" in read(tmp_path / "a.npz").notes[0]
        assert read(tmp_path / "a.npz", 0.5).notes == ()
        np.savez(tmp_path / "a.npz", **(given | {"logits": logits, "logit_scale": scale}))
        assert read(tmp_path / "a.npz").notes == ()


def test_observations_of_integers_have_a_scale() -> None:
    given = arrays()
    game = Game(given["keep"], given["labels"])
    bare, with_scale, real = (
        [Observation({"logits": z}, "", unit) for z, unit in zip(logits, units, strict=True)]
        for logits, units in (
            (given["logits"], [None] * MODELS),
            (given["logits"], given["logit_scale"].tolist()),
            (given["logits"] * given["logit_scale"][:, None, None] + 1e-9, [None] * MODELS),
        )
    )
    np.testing.assert_allclose(stack(with_scale)["logits"], stack(real)["logits"], atol=1e-8)
    loss = [build("attack", "loss")]
    assert "without logit_scale" in audit(bare, game, loss, seed=0, resamples=5).warnings[0]
    for made in (with_scale, real):
        assert not any("logit_scale" in text for text in audit(made, game, loss, seed=0, resamples=5).warnings)
    with pytest.raises(BadInput, match="logit_scale"):
        Observation({"logits": given["logits"][0]}, "", 0.0)


def test_probabilities_under_the_name_of_logits_are_told_about(tmp_path: Path) -> None:
    given = arrays()
    p = softmax(given["logits"] * given.pop("logit_scale")[:, None, None])
    eight_bits = np.round(256 * p).clip(0, 255).astype(np.uint8)
    for logits in (p, p.astype(np.float16), 100 * p, eight_bits, eight_bits / 256):
        assert any("seem to be probabilities" in note for note in notes_on(logits, scale_given=True))
    for logits in (np.log(p), given["logits"], p - 0.25, np.exp(given["logits"] / 1e3), np.zeros((2, 3, 4))):
        assert not any("seem to be probabilities" in note for note in notes_on(logits, scale_given=True))
    np.savez(tmp_path / "a.npz", **(given | {"logits": p}))
    assert "seem to be probabilities" in read(tmp_path / "a.npz").notes[0]
    with pytest.warns(UserWarning, match="seem to be probabilities"):
        hwsim.score("loss", p, given["keep"], given["labels"])


@pytest.mark.parametrize(
    "scale", [0.0, -1.0, np.nan, np.inf, np.ones(5), np.ones((MODELS, 3)), np.ones((1, MODELS)), np.array("a")]
)
def test_a_scale_that_does_not_fit_is_refused(scale: float | np.ndarray, tmp_path: Path) -> None:
    given = arrays()
    with pytest.raises(BadInput, match="logit_scale"):
        scaled(given["logits"], scale)
    with pytest.raises(HwsimError, match=r"a\.npz.*logit_scale"):
        observed(tmp_path / "a.npz", given | {"logit_scale": np.asarray(scale)})


def test_large_integers_are_ordered_by_their_gaps() -> None:
    """Losses and entropies of logits thousands apart are no floats any more; the largest gap alone decides."""
    given = arrays()
    logits = given["logits"] * 4000
    own = np.take_along_axis(logits, np.broadcast_to(given["labels"][:, None], (MODELS, SAMPLES, 1)), axis=2)[..., 0]
    others = np.where(np.arange(4) == given["labels"][:, None], np.iinfo(np.int32).min, logits).max(axis=2)
    ranked = np.sort(logits, axis=2)
    for attack, gap in (
        ("loss", own - others),
        ("attack_p", own - others),
        ("entropy", ranked[..., 3] - ranked[..., 2]),
        ("ml_leaks_3", ranked[..., 3] - ranked[..., 2]),
    ):
        scores = hwsim.score(attack, logits, given["keep"], given["labels"], logit_scale=1.0)
        for row, exact in zip(scores, gap, strict=True):
            assert (np.diff(row[np.lexsort((row, exact))]) >= 0).all()
            assert len(np.unique(row)) >= len(np.unique(exact))
