"""One line of the speed table."""

from __future__ import annotations

import math
from dataclasses import dataclass

COLUMNS = ("group", "work", "ours", "peer_name", "peer", "unit", "ratio", "goal")
"""What a row tells, in the order of the table."""

UNKNOWN = math.nan
"""A rate that could not be measured, or a goal that nobody has set."""


@dataclass(frozen=True)
class Row:
    """Our figure beside a peer's, in one unit. `ratio` above 1 means that we are ahead."""

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
        """Ours by peer for rates, peer by ours where less is better (seconds, bytes)."""
        return self.peer / self.ours if self.less_is_better else self.ours / self.peer

    @property
    def met(self) -> bool:
        """True when the ratio was measured and reaches the goal."""
        return self.ratio >= self.goal
