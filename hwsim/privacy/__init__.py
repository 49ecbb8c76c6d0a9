"""Membership inference: the channels that an adversary observes, attacks on them, and audits of their success."""

from hwsim.privacy.audit.audit import audit, audit_arrays, audit_null
from hwsim.privacy.audit.from_logits import score
from hwsim.privacy.audit.leakage import AttackResult, Leakage, paired_auc, paired_difference
from hwsim.privacy.audit.null_test import NullTest
from hwsim.privacy.game import Game, balanced_keep
from hwsim.privacy.observation.observe import Observation, observe, observe_floats
from hwsim.privacy.statistics.intervals import clopper_pearson, epsilon_lower_bound, rates_at
from hwsim.privacy.statistics.roc import Confusion, Interval, Roc, roc

__all__ = [
    "AttackResult",
    "Confusion",
    "Game",
    "Interval",
    "Leakage",
    "NullTest",
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
    "paired_auc",
    "paired_difference",
    "rates_at",
    "roc",
    "score",
]
