"""Membership scores of one target: from logits to intervals within a limit, and two attacks against plain numpy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.membership.bootstrap import places_of, resampled_rates
from hwsim.privacy.attack_tools.game_view import view_game
from hwsim.privacy.attack_tools.likelihood_ratio import online_lira_score
from hwsim.privacy.attack_tools.log_odds import log_odds
from hwsim.privacy.attacks.reference.lira import Lira
from hwsim.privacy.attacks.reference.rmia import Rmia, share_beaten
from hwsim.privacy.game import balanced_keep
from hwsim.privacy.statistics.roc import roc
from tests.bench.child import print_result, run_child
from tests.bench.group_memory import growth
from tests.bench.row import Row
from tests.bench.threads import use_threads
from tests.bench.timing import interleave

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MODELS, SAMPLES, CLASSES = 64, 50_000, 10
RESAMPLES = 1000
LIMIT_SECONDS = 2.0
PAIR_SAMPLES = 8_000
"""With so many samples a population of half of them still makes a table of pairs that fits."""

MIB = 1 << 20


def rows() -> Iterator[Row]:
    """The whole way, LiRA alone, RMIA alone, and what RMIA takes in memory."""
    use_threads()
    logits, keep, labels = game(MODELS, SAMPLES)
    yield whole_way(logits, keep, labels)
    yield lira(log_odds(logits, labels), keep)
    yield rmia()
    yield rmia_memory()


def game(models: int, samples: int) -> tuple[Floats, Bools, NDArray[np.int64]]:
    """Logits [model, sample, class] of noise in which members are a little surer, memberships and labels."""
    rng = np.random.default_rng(0)
    keep, labels = balanced_keep(models, samples, seed=0), rng.integers(CLASSES, size=samples)
    logits = 2 * rng.normal(size=(models, samples, CLASSES))
    logits[:, np.arange(samples), labels] += 2 + keep
    return logits, keep, labels


def whole_way(logits: Floats, keep: Bools, labels: NDArray[np.int64]) -> Row:
    """Logits to log-odds, LiRA and RMIA, their curves, and 1000 resamples; the AUCs must be those of numpy."""
    odds = plain_log_odds(logits, labels)
    expected = [plain_lira(odds, keep, of_paper=False), log_p(odds[0]) - plain_log_mean(odds, keep)]
    expected_aucs = np.array([roc(scores, keep[0]).auc for scores in expected])
    call = partial(aucs_with_intervals, logits, keep, labels)
    seconds = interleave({"ours": call}, {"ours": expected_aucs}, seconds=5.0)["ours"]
    work = f"{MODELS} x {SAMPLES:,} logits to LiRA, RMIA and {RESAMPLES} resamples"
    return Row("privacy", work, seconds, "limit", LIMIT_SECONDS, "s", 1.0, True)


def aucs_with_intervals(logits: Floats, keep: Bools, labels: NDArray[np.int64]) -> Floats:
    """AUCs of LiRA and RMIA against the first model, once the resamples of both are made."""
    attacks = (Lira(variance="per_point"), Rmia())
    view = view_game({"logits": logits}, keep, labels, targets=[0])
    scores = np.concatenate([attack.scores(view) for attack in attacks])
    aucs = np.array([roc(row, keep[0]).auc for row in scores])
    member = np.broadcast_to(keep[0], scores.shape)
    seeds = np.arange(RESAMPLES, dtype=np.uint64)
    draws = resampled_rates(places_of(scores, member), seeds, np.array([0.001, 0.01]))
    assert np.isfinite(draws).all()
    return aucs


def lira(odds: Floats, keep: Bools) -> Row:
    """Online, with the variance of each point, from log-odds."""
    view = view_game({}, keep, np.zeros(SAMPLES, dtype=np.int64), targets=[0])
    calls = {
        "ours": lambda: online_lira_score(odds, view, "per_point")[0],
        "numpy": partial(plain_lira, odds, keep),
    }
    expected = {"ours": plain_lira(odds, keep, of_paper=False), "numpy": slow_lira(odds, keep)}
    rate = {side: SAMPLES / value for side, value in interleave(calls, expected).items()}
    work = f"LiRA, {MODELS - 1} shadows, {SAMPLES:,} samples"
    return Row("privacy", work, rate["ours"], "numpy, its authors' formula", rate["numpy"], "samples/s", 4.0)


def rmia() -> Row:
    """The share of a population that is beaten, from log ratios."""
    rng = np.random.default_rng(1)
    ratios, place = rng.normal(size=PAIR_SAMPLES), rng.random(PAIR_SAMPLES)
    calls = {
        "ours": partial(share_beaten, ratios, place, 0.5, 1.0),
        "numpy": lambda: (ratios[:, None] - ratios[place <= 0.5] >= 0.0).mean(axis=1),
    }
    expected = np.array([np.count_nonzero(ratios[place <= 0.5] <= ratio) for ratio in ratios]) / np.sum(place <= 0.5)
    rate = {side: PAIR_SAMPLES / value for side, value in interleave(calls, dict.fromkeys(calls, expected)).items()}
    work = f"RMIA, {PAIR_SAMPLES:,} samples, half of them the population"
    return Row("privacy", work, rate["ours"], "numpy, all pairs", rate["numpy"], "samples/s", 5.0)


def rmia_memory() -> Row:
    """Peak of the attack beyond the logits, beside one float for each pair."""
    # the allocator gives freed arrays back at once, or the call would find those of the one before
    peak = run_child("tests.bench.group_privacy", environment={"MALLOC_MMAP_THRESHOLD_": "65536"}) / MIB
    pairs = 8 * SAMPLES * (SAMPLES // 2) / MIB
    return Row("privacy", f"RMIA, {SAMPLES:,} samples, peak", peak, "a float per pair", pairs, "MiB", 50.0, True)


def plain_log_odds(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """z_y - logsumexp of the rest, a model at a time."""
    odds = np.empty(logits.shape[:2])
    for z, row in zip(logits, odds, strict=True):
        own = z[np.arange(len(labels)), labels]
        others = np.where(np.arange(z.shape[1]) == labels[:, None], -np.inf, z)
        row[:] = own - np.logaddexp.reduce(others, axis=1)
    return odds


def log_p(odds: Floats) -> Floats:
    """log p of the label."""
    return -np.logaddexp(0.0, -odds)


def sides(odds: Floats, keep: Bools) -> tuple[Floats, Floats]:
    """Log-odds of as many in- as out-shadows of the first model, [sample, shadow] each."""
    values, held = np.ascontiguousarray(odds[1:].T), np.ascontiguousarray(keep[1:].T)
    size = len(keep) // 2 - 1
    taken = []
    for side in (held, ~held):
        count = side.sum(axis=1)
        start = np.cumsum(count) - count
        taken.append(values[side][start[:, None] + np.arange(size)])
    return taken[0], taken[1]


def plain_lira(odds: Floats, keep: Bools, of_paper: bool = True) -> Floats:
    """Scores of the first model by the formula: medians and standard deviations, or means and unbiased ones."""
    densities = []
    for side in sides(odds, keep):
        center = np.median(side, axis=1) if of_paper else side.mean(axis=1)
        spread = side.std(axis=1, ddof=0 if of_paper else 1) + 1e-30
        densities.append(-(((odds[0] - center) / spread) ** 2) / 2 - np.log(spread))
    return densities[0] - densities[1]


def slow_lira(odds: Floats, keep: Bools) -> Floats:
    """The paper's scores with a loop over the samples."""
    size = len(keep) // 2 - 1
    scores = np.empty(odds.shape[1])
    for s, column in enumerate(odds.T):
        inside, out = (column[1:][keep[1:, s] == side][:size] for side in (True, False))
        distance = [
            ((column[0] - np.median(side)) / side.std()) ** 2 / 2 + np.log(side.std()) for side in (inside, out)
        ]
        scores[s] = distance[1] - distance[0]
    return scores


def plain_log_mean(odds: Floats, keep: Bools) -> Floats:
    """log of the mean p over as many in- as out-shadows of the first model."""
    shadows = np.concatenate(sides(odds, keep), axis=1)
    return np.log(np.exp(log_p(shadows)).mean(axis=1))


def main() -> None:
    """Measure what RMIA takes in a process of its own, compiled already."""
    use_threads()
    logits, keep, labels = game(8, SAMPLES)
    call = partial(Rmia().scores, view_game({"logits": logits}, keep, labels, [0]))
    call()
    print_result(growth(call))


if __name__ == "__main__":
    sys.exit(main())
