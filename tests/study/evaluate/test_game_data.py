"""Pool, memberships, calibration and auxiliary samples of a game."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.datasets.splits import split
from hwsim.design import Design
from hwsim.errors import BadInput, UnknownName
from hwsim.study.evaluate.game_data import prepare

BASE = {"dataset": "breast_cancer", "model": "mlp", "attacks": ["loss"]}


def design(**game: object) -> Design:
    return Design.resolve(BASE | {"game": {"models": 6, "calibration": 64} | game})


def test_no_model_trains_on_calibration_or_auxiliary_samples() -> None:
    data = prepare(design(samples=300, auxiliary=100))
    pool = {row.tobytes() for row in data.x}
    spare = {row.tobytes() for row in (*data.calibration, *data.auxiliary)}
    assert (len(data.x), len(data.calibration), len(data.auxiliary), len(spare)) == (300, 64, 100, 164)
    assert not pool & spare


def test_auxiliary_samples_leave_the_pool_as_it_was() -> None:
    without, with_auxiliary = prepare(design(samples=300)), prepare(design(samples=300, auxiliary=100))
    np.testing.assert_array_equal(without.pool, with_auxiliary.pool)
    np.testing.assert_array_equal(without.game.keep, with_auxiliary.game.keep)
    np.testing.assert_array_equal(without.calibration, with_auxiliary.calibration)


@pytest.mark.parametrize(
    ("game", "text"),
    [
        (
            {"samples": 506},
            "game.samples: got 506; allowed: 8 to 505: breast_cancer has 569 samples, 64 are for calibration",
        ),
        ({"samples": 406, "auxiliary": 100}, "allowed: 8 to 405: .* 64 are for calibration, 100 auxiliary"),
        ({"auxiliary": 498}, "game.auxiliary: got 498; allowed: 0 to 497, to leave 8 samples for the pool"),
        ({"calibration": 562}, "game.calibration: got 562; allowed: 1 to 561, to leave 8 samples"),
    ],
)
def test_games_larger_than_the_data_are_refused(game: dict[str, int], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        prepare(design(**game))


def test_a_split_of_one_part_gives_its_own_samples_for_calibration() -> None:
    data = prepare(design(split="halves", auxiliary=20))
    whole = split("breast_cancer", "halves", data.data)["pool"]
    np.testing.assert_array_equal(data.pool, whole[84:])
    assert len(data.auxiliary) == 20


def test_a_split_says_how_many_samples_there_are() -> None:
    with pytest.raises(BadInput, match=r"game.samples: got 100; allowed: omit it"):
        design(split="halves", samples=100)
    with pytest.raises(UnknownName, match="halves"):
        prepare(design(split="halfs"))


def test_model_0_trains_on_the_members_of_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.study.evaluate import game_data as module

    parts = {"target_member": np.arange(100, 140), "target_nonmember": np.arange(300, 360), "rest": np.arange(90)}
    monkeypatch.setattr(module, "split", lambda dataset, name, loaded: parts)
    data = prepare(design(split="halves", auxiliary=30))
    assert data.game.keep[0].tolist() == [True] * 40 + [False] * 60
    assert (data.game.keep.sum(axis=0) == 3).all()
    assert 0.3 < data.game.keep[1].mean() < 0.7
    np.testing.assert_array_equal(data.pool, np.concatenate([parts["target_member"], parts["target_nonmember"]]))
    pool = {row.tobytes() for row in data.x}
    assert not pool & {row.tobytes() for row in (*data.calibration, *data.auxiliary)}
    with pytest.raises(BadInput, match="469 together"):
        prepare(design(split="halves", auxiliary=430))
