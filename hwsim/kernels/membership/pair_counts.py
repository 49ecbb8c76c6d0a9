"""Pairs of a member and a non-member that the scores order correctly, counted for each sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.compile import for_kernel, kernel


def twice_ordered_pairs(places: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return twice the correctly ordered pairs of each sample, ties counted half, int64 [target, sample].

    A member is paired with every non-member, and is in order above it. A non-member is paired with every member.
    `places` int32 [target, sample] is that of `hwsim.kernels.membership.bootstrap.places_of`.
    """
    return np.asarray(_twice_ordered_pairs(for_kernel(places, np.int32)))


@kernel()
def _twice_ordered_pairs(places: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the counts of `twice_ordered_pairs`."""
    targets, samples = places.shape
    twice = np.empty((targets, samples), dtype=np.int64)
    for t in range(targets):
        row = places[t]
        nonmembers_left = np.int64(0)
        for place in row:
            nonmembers_left += 1 - (place >> 1 & 1)
        members_above = np.int64(0)
        begin = 0
        for end in range(samples):
            if row[end] & 1:  # the last of a group of equal scores
                members = np.int64(0)
                for i in range(begin, end + 1):
                    members += row[i] >> 1 & 1
                nonmembers = end + 1 - begin - members
                nonmembers_left -= nonmembers
                for i in range(begin, end + 1):
                    if row[i] >> 1 & 1:
                        twice[t, row[i] >> 2] = 2 * nonmembers_left + nonmembers
                    else:
                        twice[t, row[i] >> 2] = 2 * members_above + members
                members_above += members
                begin = end + 1
    return twice
