from __future__ import annotations

from itertools import combinations

import numpy as np

from hwsim.privacy.statistics.multiple_tests import holm


def by_closed_testing(p_values: list[float]) -> list[float]:
    """Return the largest Bonferroni p-value of all sets of hypotheses that contain each one (Marcus et al. 1976)."""
    members = range(len(p_values))
    sets = [s for size in range(1, len(p_values) + 1) for s in combinations(members, size)]
    return [max(min(1.0, len(s) * min(p_values[j] for j in s)) for s in sets if i in s) for i in members]


def test_the_correction_is_the_closed_test() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 5, 7):
        for _ in range(20):
            p_values = (rng.integers(1, 30, size=count) / 100).tolist()
            np.testing.assert_allclose(holm(p_values), by_closed_testing(p_values), rtol=1e-12)


def test_no_attack_has_no_correction() -> None:
    assert holm([]) == []
