"""What an adversary sees of a deployed network, and how well it tells members from non-members."""

from hwsim.privacy.arrays import score
from hwsim.privacy.bounds import clopper_pearson, epsilon_lower_bound, rates_at
from hwsim.privacy.game import Game, balanced_keep
from hwsim.privacy.leakage import (
    AttackResult,
    Leakage,
    audit,
    audit_arrays,
    audit_null,
    paired_difference,
)
from hwsim.privacy.metrics import Confusion, Interval, Roc, roc
from hwsim.privacy.observe import Observation, observe, observe_floats

__all__ = [
    "AttackResult",
    "Confusion",
    "Game",
    "Interval",
    "Leakage",
    "Observation",
    "Roc",
    "audit",
    "audit_arrays",
    "audit_null",
    "balanced_keep",
    "clopper_pearson",
    "epsilon_lower_bound",
    "observe",
    "observe_floats",
    "paired_difference",
    "rates_at",
    "roc",
    "score",
]
