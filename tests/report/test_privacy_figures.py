from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import BadInput
from hwsim.privacy.statistics.roc import roc
from hwsim.report.figures import base
from hwsim.report.figures.privacy import MIN_RATE, loglog_roc, score_histogram


def game(seed: int = 0, samples: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    member = np.arange(samples) % 2 == 0
    return np.random.default_rng(seed).normal(size=samples) + member, member


def drawn(draw):
    with base.style():
        return base.figure(draw).axes[0]


def test_a_curve_is_read_at_thresholds_that_exist():
    curves = [roc(*game(seed)) for seed in (0, 1)]
    axes = drawn(lambda axes: loglog_roc({"loss": curves}, axes))
    (line,) = [line for line in axes.lines if line.get_label() == "loss"]
    fprs, tprs = line.get_data()
    assert (fprs[0], fprs[-1]) == (MIN_RATE, 1.0)
    for i in (300, 450, 599):
        assert tprs[i] == pytest.approx(np.mean([curve.tpr_at_fpr(fprs[i]) for curve in curves]))
    assert line.get_drawstyle() == "steps-post"
    assert tprs[-1] == 1.0


def test_guessing_and_resolution_are_marked():
    axes = drawn(lambda axes: loglog_roc({"loss": [roc(*game())]}, axes))
    lines = {
        tuple(np.unique(line.get_xdata())): line.get_linestyle() for line in axes.lines if line.get_linestyle() != "-"
    }
    assert (1 / 1000,) in lines
    guessing = next(line for line in axes.lines if line.get_label() == "guessing")
    assert (guessing.get_xdata() == guessing.get_ydata()).all()
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_a_rate_of_zero_is_not_drawn():
    member = np.array([False, True] * 50)
    axes = drawn(lambda axes: loglog_roc({"bad": [roc(-member.astype(float), member)]}, axes))
    (line,) = [line for line in axes.lines if line.get_label() == "bad"]
    assert np.isnan(line.get_ydata()[:-1]).all()
    assert line.get_ydata()[-1] == 1.0


def test_every_member_and_nonmember_is_in_a_bin():
    scores, member = game()
    axes = drawn(lambda axes: score_histogram(scores.reshape(2, -1), member.reshape(2, -1), axes))
    steps = [patch for patch in axes.patches if patch.get_label() in ("members", "non-members")]
    assert len(steps) == 2
    for patch in steps:
        assert patch.get_data().values.sum() == pytest.approx(1.0)


def test_a_constant_score_has_a_histogram_too():
    member = np.arange(10) < 5
    axes = drawn(lambda axes: score_histogram(np.zeros(10), member, axes))
    assert axes.patches[0].get_data().values.max() == 1.0


def test_the_same_scores_give_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        with base.style():
            made = base.figure(lambda axes: loglog_roc({"loss": [roc(*game())]}, axes))
            base.save(made, tmp_path / folder, "roc")
    for name in ("roc.svg", "roc.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nothing_to_draw_is_refused():
    with pytest.raises(BadInput, match="no curve"):
        drawn(lambda axes: loglog_roc({}, axes))
    with pytest.raises(BadInput, match="members and non-members"):
        drawn(lambda axes: score_histogram(np.zeros(3), np.ones(3, bool), axes))
