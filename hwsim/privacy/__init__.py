"""What an adversary sees of a deployed network, and how well it tells members from non-members."""

from hwsim.privacy.game import Game, balanced_keep
from hwsim.privacy.leakage import AttackResult, Leakage, audit, audit_null
from hwsim.privacy.observe import Observation, observe, observe_floats

__all__ = [
    "AttackResult",
    "Game",
    "Leakage",
    "Observation",
    "audit",
    "audit_null",
    "balanced_keep",
    "observe",
    "observe_floats",
]
