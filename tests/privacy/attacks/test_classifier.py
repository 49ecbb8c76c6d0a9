"""Classifier-based attacks, and the attacks on hardware, on a planted leak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from hwsim.errors import HwsimError
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.cross_fitting import AttackTrainingSet
from hwsim.privacy.attack_tools.game_view import view_game
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.mlp import mlp_per_set
from hwsim.privacy.attacks.classifier.ml_leaks_1 import MlLeaks1
from hwsim.privacy.attacks.classifier.ml_leaks_2 import MlLeaks2
from hwsim.privacy.attacks.classifier.ml_leaks_3 import MlLeaks3
from hwsim.privacy.attacks.classifier.shokri import Shokri
from hwsim.privacy.attacks.classifier.trajectory import Trajectory
from hwsim.privacy.attacks.hardware.float_and_quantized import FloatAndQuantized, residual
from hwsim.privacy.attacks.hardware.side_channel import SideChannel, density_ratio
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc
from hwsim.registry import build
from tests.support.planted import membership_view, scores_of

Channels = dict[str, NDArray[Any]]

ATTACKS: Sequence[Attack] = [
    Shokri(),
    Shokri(hidden=(10,), shadows=3),
    MlLeaks1(),
    MlLeaks1(shadows=None, epochs=10),
    MlLeaks2(),
    MlLeaks3(),
    MlLeaks3(statistic="entropy"),
    MlLeaks3(statistic="std"),
    Trajectory(hidden=(32, 8)),
    FloatAndQuantized(),
    SideChannel(),
    SideChannel(per_class=True),
    SideChannel(relative=False),
    SideChannel(channels=("logits", "region_counts", "precision_map", "sensitive_regions")),
]


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(p / p.sum(axis=-1, keepdims=True))


def game(models: int, samples: int, seed: int, leak: float = 2.0) -> tuple[Channels, NDArray[np.bool_], NDArray[Any]]:
    """Return channels, membership and labels; members have larger margins, smaller latency and energy."""
    rng = np.random.default_rng(seed)
    keep, labels = balanced_keep(models, samples, seed), rng.integers(4, size=samples)
    member = keep.astype(np.float64)
    difficulty = rng.normal(size=(samples, 4))

    def logits() -> NDArray[np.float64]:
        z = 0.5 * difficulty + rng.normal(size=(models, samples, 4))
        z[:, np.arange(samples), labels] += 1 + leak * member
        return z

    def lowered(scale: float) -> NDArray[np.float64]:
        return scale * (0.5 * difficulty[:, 0] + rng.normal(size=keep.shape) - leak * member)

    transfer_member = rng.random(keep.shape) < 0.5
    transfer = softmax(rng.normal(size=(models, samples, 6)) + (1 + leak * transfer_member[..., None]) * np.eye(6)[0])
    z = logits()
    counts = rng.poisson(10 + 3 * leak * member[..., None], size=(models, samples, 2))
    channels = {
        "logits": z,
        "probabilities": softmax(z),
        "float_logits": logits(),
        "latency_cycles": (1000 + lowered(20)).astype(np.int64),
        "energy_pj": 1e5 + lowered(100),
        "region_counts": counts,
        "sensitive_regions": counts.sum(axis=2),
        "precision_map": (rng.random((models, samples, 9)) < 0.3 + 0.2 * member[..., None]).astype(np.uint8),
        "loss_trajectory": np.exp(
            0.3 * difficulty[:, 1:2] - 0.3 * (rng.normal(size=(*keep.shape, 4)) + member[..., None])
        ),
        "transfer_records": np.concatenate([-np.sort(-transfer, axis=2)[..., :3], transfer_member[..., None]], axis=2),
    }
    return channels, keep, labels


def mean_auc(scores: NDArray[np.float64], keep: NDArray[np.bool_]) -> float:
    return float(np.mean([roc(s, k).auc for s, k in zip(scores, keep, strict=True)]))


def label(attack: Attack) -> str:
    return attack.label


@pytest.mark.parametrize("attack", ATTACKS, ids=label)
def test_it_finds_a_planted_leak(attack: Attack) -> None:
    observed, keep, labels = game(8, 300, seed=0)
    assert mean_auc(scores_of(attack, observed, keep, labels), keep) > 0.6


@pytest.mark.parametrize("attack", ATTACKS, ids=label)
@pytest.mark.parametrize("models", [6, 8])
def test_it_finds_nothing_when_membership_is_drawn_anew(attack: Attack, models: int) -> None:
    """Mean over five games; one AUC of 100 against 100 samples has a deviation of .04, and targets share samples."""
    aucs = []
    for seed in range(5):
        observed, _, labels = game(models, 200, seed)
        null = balanced_keep(models, 200, seed + 1000)
        aucs.append(mean_auc(scores_of(attack, observed, null, labels), null))
    assert abs(np.mean(aucs) - 0.5) < 0.025


@pytest.mark.parametrize("attack", ATTACKS, ids=label)
def test_order_targets_and_the_own_membership_change_no_bit(attack: Attack) -> None:
    observed, keep, labels = game(6, 61, seed=1)
    observed = {name: values for name, values in observed.items() if name in attack.needs}
    scores = scores_of(attack, observed, keep, labels)
    order = np.random.default_rng(0).permutation(61)
    permuted = scores_of(attack, {n: v[:, order] for n, v in observed.items()}, keep[:, order], labels[order])
    np.testing.assert_array_equal(permuted, scores[:, order])
    for target in range(6):
        flipped = keep.copy()
        flipped[target] = ~keep[target]
        np.testing.assert_array_equal(scores_of(attack, observed, flipped, labels, [target])[0], scores[target])


@pytest.mark.parametrize(
    "name", ["shokri", "ml_leaks_1", "ml_leaks_2", "ml_leaks_3", "trajectory", "float_and_quantized", "side_channel"]
)
def test_defaults_come_from_the_registry(name: str) -> None:
    attack = build("attack", name)
    assert isinstance(attack, Attack)
    assert attack.name == attack.label == name


def test_the_defaults_of_the_authors() -> None:
    a, b, c = Shokri(), MlLeaks1(), Trajectory()
    assert (a.hidden, a.learning_rate, a.batch, a.epochs, a.l2, a.mlp.activation) == ((), 0.01, 100, 50, 1e-6, "tanh")
    assert (b.hidden, b.learning_rate, b.batch, b.epochs, b.l2, b.shadows) == ((64,), 0.01, 10, 50, 1e-6, 1)
    assert (c.hidden, c.learning_rate, c.batch, c.l2, c.mlp.optimizer) == ((512, 128, 32), 0.01, 128, 1e-4, "momentum")


def test_shokri_trains_one_model_per_class() -> None:
    """Members of class 0 are more confident, of class 1 less, which cancels in any model over both classes."""
    rng = np.random.default_rng(0)
    keep, labels = balanced_keep(8, 400, 0), rng.integers(2, size=400)
    z = rng.normal(size=(8, 400, 2))
    z[:, np.arange(400), labels] += np.where(labels == 0, 2, -2) * keep
    observed = {"probabilities": softmax(z)}
    assert mean_auc(scores_of(Shokri(), observed, keep, labels), keep) > 0.75
    confidence = softmax(z)[:, np.arange(400), labels]
    assert abs(mean_auc(confidence, keep) - 0.5) < 0.1


def test_shokri_scores_rare_classes_by_a_model_over_all() -> None:
    observed, keep, labels = game(8, 200, seed=2)
    rare = np.flatnonzero(labels == 3)[:40]
    labels[rare] = 0
    labels[rare[:2]] = 3
    attack = Shokri()
    scores = scores_of(attack, observed, keep, labels)
    assert (scores[:, rare[:2]] != 0).all()
    x = np.random.default_rng(0).normal(size=(60, 4))
    training_set = AttackTrainingSet(x, x[:, 0] > 0, np.repeat([0, 1], [55, 5]), seed=0)
    predict = attack.fit([training_set], 60)[0]
    expected = mlp_per_set(attack.mlp, [training_set], 60)[0](x, training_set.labels)
    np.testing.assert_array_equal(predict(x[55:], training_set.labels[55:]), expected[55:])
    assert (predict(x[:55], training_set.labels[:55]) != expected[:55]).all()


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_ml_leaks_reads_the_largest_posteriors_in_order(classes: int) -> None:
    p = softmax(np.random.default_rng(0).normal(size=(4, 6, classes)))
    seen = MlLeaks1().features(
        view_game({"probabilities": p}, np.zeros((4, 6), dtype=bool), np.zeros(6, dtype=np.int64))
    )
    expected = [[sorted(row, reverse=True)[:3] for row in model] for model in p.tolist()]
    np.testing.assert_array_equal(seen, expected)


def test_data_transfer_reads_neither_membership_nor_the_records_of_the_target() -> None:
    observed, keep, labels = game(6, 80, seed=3)
    scores = scores_of(MlLeaks2(), observed, keep, labels)
    np.testing.assert_array_equal(scores_of(MlLeaks2(), observed, ~keep, labels), scores)
    transfer = observed["transfer_records"].copy()
    transfer[2] = np.random.default_rng(0).permutation(transfer[2])
    np.testing.assert_array_equal(
        scores_of(MlLeaks2(), observed | {"transfer_records": transfer}, keep, labels), scores
    )
    transfer[2, :, :3] = np.random.default_rng(0).permutation(transfer[2, :, :3])
    changed = scores_of(MlLeaks2(), observed | {"transfer_records": transfer}, keep, labels)
    assert [bool((a != b).any()) for a, b in zip(changed, scores, strict=True)] == [m == 1 for m in range(6)]


def test_data_transfer_without_members_scores_zero() -> None:
    observed, keep, labels = game(6, 80, seed=3)
    transfer = observed["transfer_records"].copy()
    transfer[..., 3] = 0
    assert (scores_of(MlLeaks2(), observed | {"transfer_records": transfer}, keep, labels) == 0).all()


def test_data_transfer_to_a_binary_task_takes_two_posteriors() -> None:
    observed, keep, labels = game(6, 200, seed=4)
    p = softmax(np.random.default_rng(0).normal(size=(6, 200, 2)) + 3 * keep[..., None] * np.eye(2)[0])
    scores = scores_of(MlLeaks2(), observed | {"probabilities": p}, keep, labels)
    assert mean_auc(scores, keep) > 0.7


def test_statistics_of_adversary_3_against_scipy() -> None:
    p = softmax(np.random.default_rng(0).normal(size=(3, 9, 5)))
    keep, labels = np.zeros((3, 9), dtype=np.bool_), np.zeros(9, dtype=np.int64)

    def score(statistic: str) -> NDArray[np.float64]:
        return scores_of(MlLeaks3(statistic=statistic), {"probabilities": p}, keep, labels, [2, 0])  # type: ignore[arg-type]

    np.testing.assert_allclose(score("max"), -np.log1p(-p[[2, 0]].max(axis=2)), rtol=1e-12)
    np.testing.assert_allclose(score("entropy"), -np.log(stats.entropy(p[[2, 0]], axis=2)), rtol=1e-12)
    np.testing.assert_allclose(score("std"), -np.log(1 - (p[[2, 0]] ** 2).sum(axis=2)), rtol=1e-12)


def test_the_trajectory_ends_in_the_loss_of_the_deployed_model() -> None:
    observed, keep, labels = game(6, 40, seed=5)
    seen = Trajectory().features(view_game(observed, keep, labels))
    np.testing.assert_array_equal(seen[..., :-1], observed["loss_trajectory"])
    own = observed["probabilities"][:, np.arange(40), labels]
    np.testing.assert_allclose(seen[..., -1], -np.log(own), rtol=1e-10)


def test_the_trajectory_alone_separates_members() -> None:
    observed, keep, labels = game(8, 300, seed=6)
    logits = np.zeros_like(observed["logits"])
    assert mean_auc(scores_of(Trajectory(hidden=(32, 8)), observed | {"logits": logits}, keep, labels), keep) > 0.65


def test_two_equal_versions_are_lira() -> None:
    observed, keep, labels = game(8, 60, seed=7)
    same = {"logits": observed["logits"], "float_logits": observed["logits"]}
    expected = online_lira_score(log_odds(observed["logits"], labels), membership_view(keep))
    np.testing.assert_array_equal(scores_of(FloatAndQuantized(), same, keep, labels), expected)


def test_both_versions_beat_either_one_where_their_noise_differs() -> None:
    observed, keep, labels = game(16, 300, seed=8, leak=1.0)
    alone = [
        mean_auc(online_lira_score(log_odds(observed[n], labels), membership_view(keep)), keep)
        for n in FloatAndQuantized().needs
    ]
    assert mean_auc(scores_of(FloatAndQuantized(), observed, keep, labels), keep) > max(alone) + 0.03


def test_the_residual_against_least_squares() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 7, 30))
    deviations = [(v - v.mean(axis=0)).ravel() for v in (x, y)]
    slope = np.linalg.lstsq(deviations[0][:, None], deviations[1], rcond=None)[0][0]
    np.testing.assert_allclose(residual(y, on=x), y - slope * x, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(residual(y, on=np.ones_like(x)), y)


def test_densities_against_scipy() -> None:
    rng = np.random.default_rng(1)
    members, nonmembers = rng.normal(size=400), rng.normal(loc=1, scale=2, size=500)
    curve = density_ratio(members, nonmembers)
    width = np.concatenate([members, nonmembers]).std() * 400**-0.2
    at = np.linspace(-1.5, 3, 50)
    expected = [stats.gaussian_kde(v, width / v.std(ddof=1)).logpdf(at) for v in (members, nonmembers)]
    np.testing.assert_allclose(np.interp(at, curve.points, curve.ratio), expected[0] - expected[1], atol=0.05)


def test_equal_samples_in_any_order_give_exactly_zero() -> None:
    values = np.append(np.random.default_rng(2).normal(scale=1e-3, size=100_000), 1.0)  # most in one bin
    assert (density_ratio(values, values[::-1]).ratio == 0).all()


def test_far_values_have_little_weight() -> None:
    curve = density_ratio(np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5, 1000.0]))
    assert np.isfinite(curve.ratio).all()
    assert np.abs(curve.ratio).max() < 10


@pytest.mark.parametrize("attack", [SideChannel(), SideChannel(per_class=True), SideChannel(relative=False)], ids=label)
def test_a_channel_equal_in_all_models_scores_exactly_zero(attack: Attack) -> None:
    rng = np.random.default_rng(2)
    keep, labels = balanced_keep(6, 100, 0), rng.integers(3, size=100)
    for energy in (rng.random(100) * 1e5, np.full(100, 0.1)):
        observed = {"latency_cycles": np.full(keep.shape, 900), "energy_pj": np.tile(energy, (6, 1))}
        assert (scores_of(attack, observed, keep, labels) == 0).all()


def test_equal_values_score_equally() -> None:
    observed, keep, labels = game(8, 200, seed=9)
    cycles = observed["latency_cycles"] // 20
    scores = scores_of(
        SideChannel(channels=("latency_cycles",), relative=False), {"latency_cycles": cycles}, keep, labels
    )
    assert max(len(np.unique(scores[0][cycles[0] == value])) for value in np.unique(cycles[0])) == 2  # one per half


def test_the_level_of_a_model_is_removed() -> None:
    channels, keep, labels = game(8, 400, 3)
    shifted = channels | {"latency_cycles": channels["latency_cycles"] + 1000 * np.arange(8)[:, None]}
    view, of_shifted = view_game(channels, keep, labels), view_game(shifted, keep, labels)
    attack = SideChannel(channels=("latency_cycles",))
    np.testing.assert_allclose(attack.features(of_shifted), attack.features(view), atol=1e-9)
    bare = SideChannel(channels=("latency_cycles",), remove_level=False)
    assert np.abs(bare.features(of_shifted) - bare.features(view)).max() > 1000


def test_side_channels_add_up() -> None:
    observed, keep, labels = game(6, 100, seed=10)
    both = SideChannel(channels=("logits", "energy_pj"), remove_level=False)
    features = both.features(view_game(observed, keep, labels))
    phi = log_odds(observed["logits"], labels)
    expected = np.stack([phi - phi.mean(axis=0), observed["energy_pj"] - observed["energy_pj"].mean(axis=0)], axis=2)
    np.testing.assert_array_equal(features, expected)
    training_set = AttackTrainingSet(features[0], keep[0], labels, seed=0)
    sum_of_parts = np.zeros(100)
    for column in (0, 1):
        part = AttackTrainingSet(features[0][:, [column]], keep[0], labels, seed=0)
        sum_of_parts += both.fit([part], 100)[0](features[1][:, [column]], labels)
    np.testing.assert_array_equal(both.fit([training_set], 100)[0](features[1], labels), sum_of_parts)


@pytest.mark.parametrize("channels", [[], ["energy_pj", "energy_pj"], ["label"]])
def test_side_channel_refuses_channels_that_it_cannot_use(channels: list[str]) -> None:
    with pytest.raises(HwsimError, match=r"attack\.channels"):
        build("attack", "side_channel", channels=channels)
