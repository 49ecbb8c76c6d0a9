"""Reference attacks: closed forms, plain loops, unbalanced games."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from scipy import special, stats

from hwsim.errors import BadInput
from hwsim.privacy.attack_tools.attack import Attack
from hwsim.privacy.attack_tools.likelihood_ratio import offline_lira_score, online_lira_score
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attack_tools.shadow_selection import (
    ShadowRequirement,
    choose_shadows,
    samples_without_shadows,
)
from hwsim.privacy.attack_tools.tail_odds import log_tail_odds
from hwsim.privacy.attack_tools.temperature import hashed
from hwsim.privacy.attacks.metric.attack_p import AttackP
from hwsim.privacy.attacks.metric.loss import Loss
from hwsim.privacy.attacks.reference.attack_r import AttackR
from hwsim.privacy.attacks.reference.base import Base
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.attacks.reference.rmia import Rmia, share_beaten
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.observation.observe import stack
from hwsim.privacy.statistics.roc import roc
from tests.support.planted import membership_view, planted, scores_of

Game = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]

SHADOW_ATTACKS: tuple[Attack, ...] = (
    Lira(),
    Lira(variance="shrinkage"),
    Lira(variance="pooled"),
    Lira(variance="released"),
    Lira(mode="offline"),
    Lira(mode="offline", variance="pooled"),
    Lira(mode="offline_two_sided"),
    Lira(mode="offline", variance="released"),
    Rmia(),
    Rmia(mode="offline", gamma=1.5),
    Base(),
    Base(mode="offline"),
    AttackR(),
)
TWO_SIDED = ("lira_offline_two_sided", "lira_offline_released")
BY_NAME = [attack.label for attack in SHADOW_ATTACKS]


def coin_game(models: int, samples: int, seed: int, leak: float = 1.0, step: float = 0.0, p: float = 0.5) -> Game:
    """Return logits, memberships by independent coins, labels; with a step, logits are multiples of it."""
    rng = np.random.default_rng(seed)
    keep, labels = rng.random((models, samples)) < p, rng.integers(3, size=samples)
    logits = 2 * rng.normal(size=(samples, 3)) + rng.normal(size=(models, samples, 3))
    logits[:, np.arange(samples), labels] += leak * keep
    if step:
        logits = step * np.round(logits / step)
    return {"logits": logits}, keep, labels


def shadow_sets(keep: np.ndarray, target: int, sample: int, sets: str) -> tuple[list[int], list[int]]:
    """Return OUT and IN shadow models of a sample in a game of coins, by a plain loop."""
    ring = [(target + step) % len(keep) for step in range(1, len(keep))]
    out, in_set = ([m for m in ring if keep[m, sample] == side] for side in (0, 1))
    if sets == "out":
        return out[: (len(keep) - 1) // 2], []
    n = min(len(out), len(in_set))
    return out[:n], in_set[:n]


# --- log-odds


def test_log_odds_against_many_digits() -> None:
    """As exact as the last bits of the largest logit, or of the logarithm of a sum of six."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(scale=s, size=(40, 6)) for s in (0.01, 3, 300)])
    labels = rng.integers(6, size=len(logits))
    with mpmath.workdps(60):
        exact = []
        for z, y in zip(logits, labels, strict=True):
            others = mpmath.fsum(mpmath.exp(mpmath.mpf(v)) for k, v in enumerate(z) if k != y)
            exact.append(float(mpmath.mpf(z[y]) - mpmath.log(others)))
    error = np.abs(log_odds(logits, labels) - exact)
    assert (error <= 2 * np.spacing(np.maximum(np.abs(logits).max(axis=1), 2.0))).all()


@pytest.mark.parametrize("place", range(3))
def test_log_odds_pass_nan_on(place: int) -> None:
    logits = np.ones((2, 3))
    logits[1, place] = np.nan
    odds = log_odds(logits, np.array([0, 0]))
    assert np.isnan(odds).tolist() == [False, True]


def test_log_odds_that_tie_are_equal() -> None:
    """Logits in quarters: the same ones for other classes, or all of them higher."""
    rng = np.random.default_rng(1)
    z = rng.integers(-40, 40, size=12) / 4
    rows, labels = [], []
    for shift in rng.integers(-400, 400, size=50) / 4:
        order = rng.permutation(12)
        rows.append(z[order] + shift)
        labels.append(np.flatnonzero(order == 3)[0])
    assert len(np.unique(log_odds(np.array(rows), np.array(labels)))) == 1


def test_log_odds_of_all_models_are_those_of_each() -> None:
    observed, _, labels = coin_game(5, 77, seed=0)
    whole = log_odds(observed["logits"], labels)
    np.testing.assert_array_equal(whole, [log_odds(z, labels) for z in observed["logits"]])


# --- LiRA


@pytest.mark.parametrize("models, variance", [(3, "pooled"), (4, "shrinkage"), (7, "shrinkage"), (9, "per_point")])
def test_online_lira_against_scipy_in_a_game_of_coins(models: int, variance: str) -> None:
    observed, keep, labels = coin_game(models, 60, seed=models)
    x = log_odds(observed["logits"], labels)
    least, strength = (2, 8.0) if variance == "per_point" else (1, 8.0)
    scores = scores_of(Lira(variance=variance), observed, keep, labels)
    for t in range(models):
        sets = {s: shadow_sets(keep, t, s, "in_out") for s in range(60)}
        sets = {s: both for s, both in sets.items() if len(both[0]) >= least}
        pooled = [mean_square([x[both[side], s] for s, both in sets.items()]) for side in (0, 1)]
        if pooled[0] is None:
            common = mean_square([x[[*both[0], *both[1]], s] for s, both in sets.items()])
            pooled = [common, common]
        for s in range(60):
            expected = 0.0
            if s in sets:
                out, in_set = (
                    scipy_density(x[t, s], x[models_of, s], variance, strength, pooled[side])
                    for side, models_of in enumerate(sets[s])
                )
                expected = in_set - out
            assert scores[t, s] == pytest.approx(expected, rel=1e-6, abs=1e-9)  # the smallest variance shows


def mean_square(groups: list[np.ndarray]) -> float | None:
    degrees = sum(len(v) - 1 for v in groups)
    return sum(((v - v.mean()) ** 2).sum() for v in groups) / degrees if degrees else None


def scipy_predictive(shadows: np.ndarray, variance: str, strength: float, pooled: float):
    """Return the predictive distribution of one set, by scipy."""
    n, mean = len(shadows), shadows.mean()
    if variance == "shrinkage":
        freedom = strength + n - 1
        square = (strength * pooled + ((shadows - mean) ** 2).sum()) / freedom * (1 + 1 / n)
        return stats.t(freedom, mean, np.sqrt(square))
    return stats.norm(mean, np.sqrt(pooled if variance == "pooled" else shadows.var(ddof=1)))


def scipy_density(x: float, shadows: np.ndarray, variance: str, strength: float, pooled: float) -> float:
    return float(scipy_predictive(shadows, variance, strength, pooled).logpdf(x))


@pytest.mark.parametrize("mode", ["offline", "offline_two_sided"])
@pytest.mark.parametrize("variance", ["pooled", "shrinkage", "per_point"])
def test_offline_lira_against_scipy_in_a_game_of_coins(mode: str, variance: str) -> None:
    models = 9
    observed, keep, labels = coin_game(models, 60, seed=1)
    x = log_odds(observed["logits"], labels)
    scores = scores_of(Lira(mode=mode, variance=variance), observed, keep, labels)
    for t in range(models):
        sets = {s: shadow_sets(keep, t, s, "out")[0] for s in range(60)}
        sets = {s: out for s, out in sets.items() if len(out) >= (2 if variance == "per_point" else 1)}
        pooled = mean_square([x[out, s] for s, out in sets.items()])
        expected = {}
        for s, out in sets.items():
            d = scipy_predictive(x[out, s], variance, 8.0, pooled)
            expected[s] = d.logcdf(x[t, s]) - d.logsf(x[t, s]) if mode == "offline" else -d.logpdf(x[t, s])
        middle = 0.0 if mode == "offline" else np.median(list(expected.values()))
        full = [expected.get(s, middle) for s in range(60)]
        np.testing.assert_allclose(scores[t], full, rtol=1e-6, atol=1e-9)


def test_one_shadow_per_set_orders_as_a_common_variance_does() -> None:
    """Four models: nothing can be pooled within a side, and the order of the pooled scores does not need it."""
    keep = balanced_keep(4, 40, seed=0)
    x = np.random.default_rng(0).normal(size=keep.shape) + keep
    scores = online_lira_score(x, membership_view(keep, [1]), "pooled")[0]
    plain = []
    for s in range(40):
        (out,), (in_set,) = shadow_sets(keep, 1, s, "in_out")
        plain.append((x[1, s] - x[out, s]) ** 2 - (x[1, s] - x[in_set, s]) ** 2)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(plain))
    offline = offline_lira_score(x, membership_view(keep, [1]), "pooled")[0]
    gaps = [x[1, s] - x[shadow_sets(keep, 1, s, "out")[0][0], s] for s in range(40)]
    np.testing.assert_array_equal(np.argsort(offline), np.argsort(gaps))


def test_only_out_shadows_are_read_offline() -> None:
    observed, keep, labels = coin_game(8, 50, seed=2)
    for attack in (a for a in SHADOW_ATTACKS if a.shadow_requirement.sets == "out"):
        changed = np.where(keep[:, :, None], -observed["logits"], observed["logits"])
        changed[3] = observed["logits"][3]
        if isinstance(attack, Rmia | Base):  # the temperature and the population are chosen from all outputs
            attack = type(attack)(mode="offline", temperature=1.0)
        if isinstance(attack, Rmia):
            attack = attack.model_copy(update={"population": 1.0})
        first, second = (scores_of(attack, {"logits": z}, keep, labels, [3]) for z in (observed["logits"], changed))
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-9)


def test_far_scores_do_not_saturate() -> None:
    """Phi rounds to 1 from 8.3 standard deviations on, and 1 - Phi to 0 from 38 on."""
    z = np.array([0.0, 5.0, 9.0, 40.0, 41.0, 1e4, 1e8])
    for odds in (log_tail_odds(z), *(log_tail_odds(z, np.full(7, nu)) for nu in (1.5, 10.0, 1e3))):
        assert odds[0] == 0
        assert (np.diff(odds) > 0).all()
        assert np.isfinite(odds).all()


@pytest.mark.parametrize("freedom", [0.5, 7.0, 39.0, 400.0])
def test_student_tails_against_many_digits(freedom: float) -> None:
    mpmath = pytest.importorskip("mpmath")
    t = np.array([-3.0, 1e-9, 0.5, 8.0, 37.0, 1e5, 1e9])
    with mpmath.workdps(400):
        nu = mpmath.mpf(freedom)
        tails = [mpmath.betainc(nu / 2, 0.5, 0, nu / (nu + mpmath.mpf(v) ** 2), regularized=True) / 2 for v in t]
        exact = [float(np.sign(v) * (mpmath.log(1 - p) - mpmath.log(p))) for v, p in zip(t, tails, strict=True)]
    np.testing.assert_allclose(log_tail_odds(t, np.full(7, freedom)), exact, rtol=1e-9, atol=1e-13)


# --- RMIA and its kin


def plain_log_ratios(odds: np.ndarray, keep: np.ndarray, mode: str, a: float) -> np.ndarray:
    """log p - log pbar of every target and sample, from the formula; NaN without shadows."""
    log_p = -np.logaddexp(0, -odds)
    ratios = np.full(odds.shape, np.nan)
    for t, s in np.ndindex(odds.shape):
        out, in_set = shadow_sets(keep, t, s, "in_out" if mode == "online" else "out")
        if out:
            mean = np.exp(log_p[[*out, *in_set], s]).mean()
            mean = mean if mode == "online" else (1 + a) / 2 * mean + (1 - a) / 2
            ratios[t, s] = log_p[t, s] - log(mean)
    return ratios


@pytest.mark.parametrize("step", [0.0, 1.0])
@pytest.mark.parametrize("gamma, population", [(1.0, 1.0), (2.0, 0.5), (0.7, 0.3)])
def test_shares_are_the_counts_of_a_double_loop(step: float, gamma: float, population: float) -> None:
    """Bit for bit; with logits in whole units many ratios are equal."""
    observed, keep, labels = coin_game(5, 120, seed=3, step=step)
    odds = log_odds(observed["logits"], labels)
    place = hashed(odds, labels)
    for ratios in plain_log_ratios(odds, keep, "online", 0.0):
        z = [r for r, p in zip(ratios, place, strict=True) if p <= population and not np.isnan(r)]
        expected = [0.5 if np.isnan(r) else sum(bool(r - v >= log(gamma)) for v in z) / len(z) for r in ratios]
        assert share_beaten(ratios, place, population, gamma).tolist() == expected


def test_ties_at_gamma_count() -> None:
    """Ratios of 1, 2 and 4 exactly: a ratio of gamma = 2 is beaten by none that is smaller."""
    ratios = np.log(2) * np.array([0.0, 1.0, 2.0])
    assert share_beaten(ratios, np.zeros(3), 1.0, 2.0).tolist() == [0, 1 / 3, 2 / 3]
    assert share_beaten(ratios, np.zeros(3), 1.0, 1.0).tolist() == [1 / 3, 2 / 3, 1]


@pytest.mark.parametrize("mode, a", [("online", 0.33), ("offline", 0.33), ("offline", 0.0), ("offline", 1.0)])
def test_rmia_and_base_against_their_formulas(mode: str, a: float) -> None:
    observed, keep, labels = coin_game(6, 90, seed=4)
    odds = log_odds(observed["logits"], labels)
    ratios = plain_log_ratios(odds, keep, mode, a)
    scores = scores_of(Rmia(mode=mode, offline_factor=a, population=1.0, temperature=1.0), observed, keep, labels)
    for row, ratio in zip(scores, ratios, strict=True):
        z = ratio[~np.isnan(ratio)]
        near = [[np.mean(r - z >= shift) for r in ratio] for shift in (1e-9, -1e-9)]
        low, high = (np.where(np.isnan(ratio), 0.5, side) for side in near)
        assert ((low <= row) & (row <= high)).all()
    log_p = -np.logaddexp(0, -odds)
    scores = scores_of(Base(mode=mode, offline_factor=a, temperature=1.0), observed, keep, labels)
    for t, s in np.ndindex(scores.shape):
        out, in_set = shadow_sets(keep, t, s, "in_out" if mode == "online" else "out")
        shadows = log_p[[*out, *in_set], s]
        factor = 1.0 if mode == "online" else a
        mean = special.logsumexp(shadows) - log(len(shadows)) if len(shadows) else 0.0
        expected = log_p[t, s] - factor * mean if len(shadows) else 0.0
        assert scores[t, s] == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_ratios_of_probabilities_close_to_0_and_1_stay_different() -> None:
    """p = 1 - 1e-40 against 1 - 2e-40, and 1e-300 squared: as floats all are 1, or 0."""
    keep = np.array([[True, False, True, False], [False] * 4, [False] * 4])
    odds = np.array([[92.0, 92.1, -1400.0, -1401.0], [92.05] * 2 + [-1400.5] * 2, [92.05] * 2 + [-1400.5] * 2])
    logits = np.stack([odds, np.zeros_like(odds)], axis=-1)
    labels = np.zeros(4, dtype=np.int64)
    scores = scores_of(
        Base(mode="offline", offline_factor=1.0, temperature=1.0), {"logits": logits}, keep, labels, [0]
    )[0]
    assert scores[0] < 0 < scores[1] < 1e-39
    np.testing.assert_allclose(scores[2:], [0.5, -0.5], rtol=1e-9)
    scores = scores_of(
        Rmia(mode="offline", offline_factor=1.0, population=1.0, temperature=1.0), {"logits": logits}, keep, labels, [0]
    )
    assert scores[0].tolist() == [0.5, 0.75, 1.0, 0.25]


def test_rmia_works_with_one_and_with_two_references() -> None:
    observed, keep, labels = coin_game(3, 3000, seed=5, leak=2.0)
    assert roc(scores_of(Rmia(mode="offline"), observed, keep, labels, [0])[0], keep[0]).auc > 0.6
    observed, keep, labels = coin_game(2, 3000, seed=6, leak=2.0)
    keep[1] = False
    rng = np.random.default_rng(0)
    observed["logits"][1] += rng.normal(size=(3000, 3))
    assert roc(scores_of(Rmia(mode="offline"), observed, keep, labels, [0])[0], keep[0]).auc > 0.6


def test_a_population_does_not_depend_on_the_order_of_the_samples() -> None:
    observed, _, labels = coin_game(4, 500, seed=7)
    odds = log_odds(observed["logits"], labels)
    place = hashed(odds, labels)
    order = np.random.default_rng(0).permutation(500)
    np.testing.assert_array_equal(hashed(odds[:, order], labels[order]), place[order])
    assert len(np.unique(place)) == 500
    assert 0.4 < np.mean(place <= 0.5) < 0.6
    np.testing.assert_array_equal(hashed(odds * 0.0, labels), hashed(odds * -0.0, labels))


def test_attack_p_is_a_share_of_the_population_and_orders_as_the_loss() -> None:
    observed, keep, labels = coin_game(3, 200, seed=8, step=0.5)
    scores, losses = (scores_of(a, observed, keep, labels, [1])[0] for a in (AttackP(), Loss()))
    odds = log_odds(observed["logits"][1], labels)
    assert scores.tolist() == [np.mean(odds < own) for own in odds]
    assert roc(scores, keep[1]).auc == roc(losses, keep[1]).auc
    for f in (0.01, 0.1, 0.5):
        assert np.mean(scores >= 1 - f) <= f


def test_attack_r_is_a_share_of_the_references() -> None:
    observed, keep, labels = coin_game(9, 100, seed=9, step=1.0)
    odds = log_odds(observed["logits"], labels)
    scores = scores_of(AttackR(), observed, keep, labels)
    for t, s in np.ndindex(scores.shape):
        references = odds[shadow_sets(keep, t, s, "out")[0], s]
        ties = np.mean((references < odds[t, s]) + 0.5 * (references == odds[t, s])) if len(references) else 0.5
        assert scores[t, s] == pytest.approx(ties, rel=1e-15)


# --- every attack with shadows, in every mode


@pytest.fixture(params=SHADOW_ATTACKS, ids=BY_NAME)
def attack(request: pytest.FixtureRequest) -> Attack:
    return request.param


def test_one_target_has_the_bits_that_all_give(attack: Attack) -> None:
    observed, keep, labels = coin_game(6, 70, seed=10)
    scores = scores_of(attack, observed, keep, labels)
    np.testing.assert_array_equal(scores_of(attack, observed, keep, labels, [4, 1]), scores[[4, 1]])


def test_the_membership_of_the_target_is_not_read(attack: Attack) -> None:
    for keep_of in (lambda: coin_game(7, 60, seed=11)[1], lambda: balanced_keep(8, 60, seed=0)):
        keep = keep_of()
        observed, _, labels = coin_game(len(keep), 60, seed=11)
        scores = scores_of(attack, observed, keep, labels, [2])
        keep[2] = ~keep[2]
        np.testing.assert_array_equal(scores_of(attack, observed, keep, labels, [2]), scores)


def test_samples_may_come_in_any_order(attack: Attack) -> None:
    observed, keep, labels = coin_game(7, 83, seed=12, step=0.25)
    order = np.random.default_rng(1).permutation(83)
    permuted = scores_of(attack, {"logits": observed["logits"][:, order]}, keep[:, order], labels[order])
    np.testing.assert_array_equal(permuted, scores_of(attack, observed, keep, labels)[:, order])


def test_samples_with_equal_outputs_of_shadows_tie(attack: Attack) -> None:
    """The same outputs of IN and OUT models, permuted among the models, as quantized outputs are."""
    rng = np.random.default_rng(2)
    in_set, out = rng.normal(size=4), rng.normal(size=4)
    keep = np.stack([rng.permutation(np.repeat([True, False], 4)) for _ in range(20)], axis=1)
    odds = np.zeros(keep.shape)
    for s in range(20):
        odds[keep[:, s], s], odds[~keep[:, s], s] = rng.permutation(in_set), rng.permutation(out)
    keep, odds = np.vstack([np.tile([True, False], 10), keep]), np.vstack([np.full(20, 0.3), odds])
    observed = {"logits": np.stack([odds, np.zeros_like(odds)], axis=-1)}
    scores = scores_of(attack, observed, keep, np.zeros(20, dtype=np.int64), [0])
    assert len(np.unique(scores)) == 1


def test_a_planted_leak_is_found_with_coins_for_memberships(attack: Attack) -> None:
    observed, keep, labels = coin_game(16, 1500, seed=13, leak=2.0)
    scores = scores_of(attack, observed, keep, labels, [0, 5])
    worst = min(roc(row, keep[t]).auc for row, t in zip(scores, (0, 5), strict=True))
    # two-sided, a sample that is harder for the target than for its shadows looks like a member
    assert worst > (0.55 if attack.label in TWO_SIDED else 0.65)


def game_of(kind: str, samples: int, seed: int) -> np.ndarray:
    """Return memberships of 8 models, where the number of IN models reveals more or less about the target."""
    rng = np.random.default_rng(seed)
    place = np.argsort(rng.random((8, samples)), axis=0)
    members = {"half": 4, "quarter": 2, "one": 1, "coin": rng.binomial(8, 0.5, samples)}
    if kind == "half and never":
        return place < np.where(np.arange(samples) < samples // 4, 0, 4)
    return place < members[kind]


@pytest.mark.parametrize("kind", ["half", "quarter", "one", "coin", "half and never"])
def test_the_number_of_shadows_does_not_reveal_the_membership(attack: Attack, kind: str) -> None:
    """Outputs of noise alone: among samples that are in some model, members must score as non-members do."""
    samples = 6000
    rng = np.random.default_rng(14)
    keep = game_of(kind, samples, seed=3)
    if kind == "one" and attack.shadow_requirement.sets == "in_out":
        with pytest.raises(BadInput, match="no sample with 1 IN and 1 OUT shadow model for target 0"):
            scores_of(attack, {"logits": np.zeros((8, samples, 2))}, keep, np.zeros(samples, dtype=np.int64))
        return
    observed = {"logits": rng.normal(size=(8, samples, 3)) + 2 * rng.normal(size=(samples, 3))}
    scores = scores_of(attack, observed, keep, rng.integers(3, size=samples), range(4))
    played = keep.any(axis=0)
    errors = [roc(row[played], keep[t, played]).auc - 0.5 for t, row in enumerate(scores)]
    members = keep[:4, played].sum(axis=1)
    sigma = np.sqrt((played.sum() + 1) / (12 * members * (played.sum() - members)))
    assert (np.abs(errors) < 4 * sigma).all()


def test_numbers_of_shadows_in_a_nearly_balanced_game() -> None:
    """Most samples are in 4 of 8 models, a few in 2 to 6: counts have a longer range, yet reveal most memberships."""
    rng = np.random.default_rng(4)
    members = np.where(rng.random(800) < 0.05, rng.integers(2, 7, size=800), 4)
    keep = np.argsort(rng.random((8, 800)), axis=0) < members
    for target in range(8):
        for sets, expected in (("in_out", [3, 3]), ("out", [3, 0])):
            taken = choose_shadows(membership_view(keep, [target]), ShadowRequirement(sets)).counts(0)
            np.testing.assert_array_equal(np.unique(taken[:, members == 4], axis=1)[:, 0], expected)
            assert np.ptp(taken[:, members == 4], axis=1).max() == 0


def without_shadows(attack: Attack, keep: np.ndarray, targets: list[int] | None = None) -> np.ndarray:
    assert attack.shadow_requirement
    return samples_without_shadows(membership_view(keep, targets), attack.shadow_requirement)


def test_samples_without_shadows_are_counted_and_score_in_the_middle(attack: Attack) -> None:
    observed, keep, labels = coin_game(7, 90, seed=15)
    keep[1:, :10], keep[1:, 10:13] = True, False
    scores = scores_of(attack, observed, keep, labels, [0])[0]
    lonely = keep[1:].all(axis=0)
    if attack.shadow_requirement.sets == "in_out":
        lonely |= ~keep[1:].any(axis=0)
    assert without_shadows(attack, keep, [0]).tolist() == [lonely.sum()]
    middle = 0.5 if attack.name in ("rmia", "attack_r") else 0.0
    if attack.label in TWO_SIDED:
        middle = np.median(scores[~lonely])
    assert lonely.sum() >= 10
    assert (scores[lonely] == middle).all()


def test_two_shadows_per_set_are_required_for_a_variance_per_point() -> None:
    observed, keep, labels = coin_game(7, 90, seed=16)
    attack = Lira(variance="per_point")
    assert without_shadows(attack, keep)[0] > without_shadows(Lira(), keep)[0]
    with pytest.raises(BadInput, match="no sample with 2 IN and 2 OUT shadow models for target 0"):
        scores_of(attack, {"logits": observed["logits"][:4]}, balanced_keep(4, 90, seed=0), labels)


@pytest.mark.parametrize("mode", ["offline", "offline_two_sided"])
def test_offline_takes_all_shadows_where_none_ever_holds_a_sample(mode: str) -> None:
    keep = np.zeros((6, 30), dtype=bool)
    keep[0, ::2] = True
    assert (
        choose_shadows(membership_view(keep, [0]), ShadowRequirement("out")).counts(0) == [[5] * 30, [0] * 30]
    ).all()
    x = np.random.default_rng(3).normal(size=keep.shape)
    assert np.isfinite(offline_lira_score(x, membership_view(keep, [0]), two_sided=mode == "offline_two_sided")).all()


def test_a_channel_without_noise_stays_finite_offline() -> None:
    keep = balanced_keep(8, 30, seed=0)
    for two_sided in (False, True):
        same = np.tile(np.arange(30.0), (8, 1))
        assert len(np.unique(offline_lira_score(same, membership_view(keep), two_sided=two_sided))) == 1
        scores = offline_lira_score(keep.astype(np.int64), membership_view(keep), two_sided=two_sided)
        assert np.isfinite(scores).all()
        assert scores[keep].min() > scores[~keep].max()


@pytest.mark.parametrize("target", [-1, 6])
def test_targets_are_models_of_the_game(attack: Attack, target: int) -> None:
    observed, keep, labels = coin_game(6, 30, seed=17)
    with pytest.raises(BadInput, match=f"targets: got {target}; allowed: 0 to 5"):
        scores_of(attack, observed, keep, labels, [target])


def test_logits_that_are_not_finite_are_refused(attack: Attack) -> None:
    observed, keep, labels = coin_game(6, 30, seed=18)
    observed["logits"][2, 3, 1] = np.nan
    if attack.name == "attack_r":  # compares, and leaves it to the audit that scores are finite
        return
    with pytest.raises(BadInput, match="NaN or infinity"):
        scores_of(attack, observed, keep, labels)


def test_targets_are_all_or_the_given_ones() -> None:
    keep = np.zeros((3, 1), dtype=bool)
    assert membership_view(keep).targets.tolist() == [0, 1, 2]
    assert membership_view(keep, [2, 0]).targets.tolist() == [2, 0]
    assert membership_view(keep, []).targets.shape == (0,)


def test_a_view_has_no_membership_of_its_target() -> None:
    """Flipping the target's own row changes nothing that a view returns about the target."""
    keep = np.random.default_rng(0).random((5, 40)) < 0.5
    values = np.random.default_rng(1).random((5, 40))
    for target in range(5):
        flipped = keep.copy()
        flipped[target] = ~keep[target]
        first, second = (membership_view(k, [target]) for k in (keep, flipped))
        np.testing.assert_array_equal(first.shadow_members(target), second.shadow_members(target))
        assert not first.shadow_members(target)[target].any()
        np.testing.assert_array_equal(first.shadow_statistics(values, np.sum), second.shadow_statistics(values, np.sum))


def test_every_mode_finds_the_planted_leak(attack: Attack) -> None:
    game, observations = planted(16, 400, seed=3, leak=1.5)
    scores = scores_of(attack, stack(observations), game.keep, game.labels, [0, 1, 2, 3])
    mean = np.mean([roc(row, game.keep[t]).auc for t, row in enumerate(scores)])
    assert mean > (0.53 if attack.label in TWO_SIDED else 0.6)
