"""Contract of every attack in the registry."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.privacy import AttackResult, Game, Observation, attacks, audit_arrays
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.observation.observe import stack
from hwsim.registry import build, family
from tests.support.planted import planted, scores_of

NAMES = sorted(family("attack"))

CHEAPER = {
    "trajectory": {"hidden": (32, 8), "epochs": 5},
    "shokri": {"epochs": 20},
    "ml_leaks_1": {"epochs": 20},
    "ml_leaks_2": {"epochs": 20},
    "label_only_augmentation_learned": {"epochs": 20},
}
"""Cheaper parameters for tests with many small games."""


@pytest.fixture(params=NAMES)
def attack(request: pytest.FixtureRequest) -> Attack:
    made = build("attack", request.param, **CHEAPER.get(request.param, {}))
    assert isinstance(made, Attack)
    return made


def play(
    attack: Attack, game: Game, observations: list[Observation], seed: int = 0, resamples: int = 10
) -> AttackResult:
    """Return the result of an audit with the channels that the attack reads, and no others."""
    observed = {name: values for name, values in stack(observations).items() if name in attack.needs}
    return audit_arrays(observed, game, [attack], seed, resamples, blind=False).results[0]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_known_by_the_name_in_the_registry(name: str) -> None:
    made = build("attack", name)
    assert made.label == made.name == name


def test_its_label_fits_a_column(attack: Attack) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", attack.label)


def test_it_needs_channels_that_exist(attack: Attack) -> None:
    assert attack.needs
    assert set(attack.needs) <= set(family("channel"))


def test_it_reads_no_channel_that_it_does_not_name(attack: Attack) -> None:
    game, observations = planted(6, 40, seed=0, leak=1.0)
    needed = {name: values for name, values in stack(observations).items() if name in attack.needs}
    scores = scores_of(attack, needed, game.keep, game.labels)
    assert scores.shape == (6, 40)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_it_runs_from_its_smallest_number_of_models_on(attack: Attack) -> None:
    for models in (4, 6):
        game, observations = planted(models, 40, seed=0, leak=1.0)
        if models >= attack.min_models:
            assert play(attack, game, observations)
        else:
            with pytest.raises(BadInput, match=f"{attack.min_models} or more"):
                play(attack, game, observations)


def test_the_membership_of_the_target_changes_no_score(attack: Attack) -> None:
    game, observations = planted(8, 40, seed=1, leak=1.0)
    observed = stack(observations)
    scores = scores_of(attack, observed, game.keep, game.labels)
    for target in range(game.models):
        keep = game.keep.copy()
        keep[target] = ~keep[target]
        np.testing.assert_array_equal(scores_of(attack, observed, keep, game.labels)[target], scores[target])


def test_the_base_class_cannot_be_instantiated() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Attack()  # type: ignore[abstract]


def test_no_attack_reads_the_membership_matrix() -> None:
    """An attack has the membership of the shadow models from GameView; the whole matrix is private to attack_tools."""
    folder = Path(attacks.__file__).parent
    files = sorted(folder.rglob("*.py"))
    assert len(files) > len(NAMES)
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        names |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert not names & {"keep", "_keep"}, file


def test_some_targets_get_the_rows_that_they_have_among_all(attack: Attack) -> None:
    game, observations = planted(8, 61, seed=2, leak=1.0)
    observed = stack(observations)
    scores = scores_of(attack, observed, game.keep, game.labels)
    some = scores_of(attack, observed, game.keep, game.labels, targets=[5, 1])
    np.testing.assert_array_equal(some, scores[[5, 1]])


def test_the_order_of_the_samples_moves_the_scores_along(attack: Attack) -> None:
    game, observations = planted(8, 61, seed=2, leak=1.0)
    observed = stack(observations)
    scores = scores_of(attack, observed, game.keep, game.labels)
    order = np.random.default_rng(0).permutation(61)
    permuted = scores_of(
        attack, {name: values[:, order] for name, values in observed.items()}, game.keep[:, order], game.labels[order]
    )
    np.testing.assert_array_equal(permuted, scores[:, order])


def test_samples_in_no_model_have_a_score_too(attack: Attack) -> None:
    game, observations = planted(8, 60, seed=4, leak=1.0)
    keep = game.keep.copy()
    keep[:, :10] = False
    scores = scores_of(attack, stack(observations), keep, game.labels)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_a_planted_leak(name: str) -> None:
    attack = build("attack", name)  # at full length
    game, observations = planted(16, 400, seed=3, leak=2.5)
    result = play(attack, game, observations, resamples=100)
    assert result.auc.ci.low > 0.6


NULL_GAMES, MIN_COVERED = 12, 8
"""A 95 % interval misses one time in twenty; more than four misses in twelve have a probability of 0.02 %."""


@pytest.mark.parametrize("leak", [0.0, 1.5])
def test_it_finds_nothing_in_a_null_game(attack: Attack, leak: float) -> None:
    covered = 0
    for seed in range(NULL_GAMES):
        game, observations = planted(8, 200, seed, leak)
        interval = play(attack, game.shuffled(seed), observations, seed, resamples=100).auc.ci
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= MIN_COVERED


def test_it_finds_nothing_where_nothing_leaks(attack: Attack) -> None:
    covered = 0
    for seed in range(NULL_GAMES):
        game, observations = planted(6, 200, seed, leak=0.0)
        interval = play(attack, game, observations, seed, resamples=100).auc.ci
        covered += interval.low <= 0.5 <= interval.high
    assert covered >= MIN_COVERED
