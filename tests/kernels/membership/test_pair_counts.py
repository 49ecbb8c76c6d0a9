"""Ordered pairs of members and non-members against a loop over all pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.kernels.membership.bootstrap import places_of
from hwsim.kernels.membership.pair_counts import twice_ordered_pairs


def all_pairs(scores: np.ndarray, member: np.ndarray) -> list[int]:
    """Return twice the ordered pairs of each sample of one target, from every pair."""
    found = []
    for i in range(len(scores)):
        sign = 1 if member[i] else -1
        others = scores[member != member[i]]
        found.append(int(sum(1 + np.sign(sign * (scores[i] - other)) for other in others)))
    return found


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 99), st.booleans()), min_size=1, max_size=25)
)
def test_the_counts_are_those_of_all_pairs(rows: list[tuple[int, bool, int, bool]]) -> None:
    scores = np.array([[r[0] for r in rows], [r[2] for r in rows]], dtype=np.float64)
    member = np.array([[r[1] for r in rows], [r[3] for r in rows]])
    found = twice_ordered_pairs(places_of(scores, member))
    assert found.tolist() == [all_pairs(scores[t], member[t]) for t in range(2)]
