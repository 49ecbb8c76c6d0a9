from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import BadInput
from hwsim.privacy.game import Game, balanced_keep


@settings(deadline=None, derandomize=True, max_examples=25)
@given(half=st.integers(2, 20), samples=st.integers(1, 60), seed=st.integers(0, 2**40))
def test_every_sample_is_in_exactly_half_of_the_models(half: int, samples: int, seed: int) -> None:
    keep = balanced_keep(2 * half, samples, seed)
    assert keep.shape == (2 * half, samples)
    assert (keep.sum(axis=0) == half).all()


def test_a_draw_is_fixed_by_its_seed_and_differs_between_seeds() -> None:
    assert (balanced_keep(8, 50, 1) == balanced_keep(8, 50, 1)).all()
    assert (balanced_keep(8, 50, 1) != balanced_keep(8, 50, 2)).any()


def test_every_half_of_the_models_is_equally_likely() -> None:
    keep = balanced_keep(4, 60_000, seed=3)
    _, counts = np.unique(keep.T @ (1 << np.arange(4)), return_counts=True)
    assert len(counts) == 6
    assert (np.abs(counts - 10_000) < 5 * np.sqrt(10_000)).all()


def test_the_null_game_forgets_the_membership() -> None:
    game = Game(balanced_keep(8, 4000, seed=0), np.zeros(4000, dtype=np.int64))
    null = game.shuffled(seed=0)
    assert null.keep.shape == game.keep.shape
    agreement = (null.keep == game.keep).mean()
    assert abs(agreement - 0.5) < 0.02


@pytest.mark.parametrize("models", [0, 2, 5])
def test_odd_or_too_few_models_are_refused(models: int) -> None:
    with pytest.raises(BadInput, match=r"game\.models: got \d; allowed: an even number, 4 or more"):
        balanced_keep(models, 10, seed=0)


def test_a_game_of_the_users_own_need_not_be_balanced() -> None:
    keep = np.array([[True, True, False], [True, False, False], [False, True, True]])
    assert Game(keep, np.zeros(3, dtype=np.int64)).models == 3


def test_a_sample_may_be_in_all_models() -> None:
    keep = balanced_keep(4, 6, seed=0)
    keep[:, 3] = True
    assert Game(keep, np.zeros(6, dtype=np.int64)).samples == 6


def test_a_sample_may_be_in_no_model() -> None:
    keep = balanced_keep(4, 6, seed=0)
    keep[:, 3] = False
    assert Game(keep, np.zeros(6, dtype=np.int64)).samples == 6


@pytest.mark.parametrize("models", [1, 2])
def test_one_model_or_two_make_a_game(models: int) -> None:
    assert Game(np.eye(models, 5, dtype=np.bool_), np.zeros(5, dtype=np.int64)).models == models
    with pytest.raises(BadInput, match=r"game\.models: got 0; allowed: 1 or more"):
        Game(np.eye(0, 5, dtype=np.bool_), np.zeros(5, dtype=np.int64))


def test_the_null_game_of_an_unbalanced_one_forgets_how_often_a_sample_was_kept() -> None:
    keep = np.zeros((5, 3000), dtype=np.bool_)
    keep[:4, :1500] = True
    keep[4, 1500:] = True
    null = Game(keep, np.zeros(3000, dtype=np.int64)).shuffled(seed=0).keep
    assert set(null.sum(axis=0).tolist()) == {2, 3}
    assert abs(null[:, :1500].mean() - null[:, 1500:].mean()) < 0.02
    assert (np.abs(null.mean(axis=1) - 0.5) < 0.05).all()


@pytest.mark.parametrize("labels", [np.zeros(4, dtype=np.int64), np.zeros(5)])
def test_labels_must_fit(labels: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"game\.labels"):
        Game(balanced_keep(4, 5, seed=0), labels)
