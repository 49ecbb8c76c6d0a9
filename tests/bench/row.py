"""Row of the speed table."""

from __future__ import annotations

import math
from dataclasses import dataclass

COLUMNS = ("group", "work", "ours", "peer_name", "peer", "unit", "ratio", "goal")
"""Columns of the table, in order."""

UNKNOWN = math.nan
"""Value of a rate that could not be measured, and of a goal that is not set."""


@dataclass(frozen=True)
class Row:
    """A measurement of hwsim and of a peer.

    Attributes
    ----------
    group : name of the group
    work : the measured work
    ours : hwsim's value
    peer_name : name of the peer, or "limit"
    peer : the peer's value
    unit : unit of both values
    goal : required ratio
    less_is_better : True for seconds and bytes, False for rates
    """

    group: str
    work: str
    ours: float
    peer_name: str
    peer: float
    unit: str
    goal: float = UNKNOWN
    less_is_better: bool = False

    @property
    def ratio(self) -> float:
        """Ours / peer for rates, peer / ours where less is better; above 1 hwsim is faster or smaller."""
        return self.peer / self.ours if self.less_is_better else self.ours / self.peer

    @property
    def met(self) -> bool:
        """Whether the ratio was measured and reaches the goal."""
        return self.ratio >= self.goal
