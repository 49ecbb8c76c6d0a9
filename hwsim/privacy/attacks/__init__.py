"""The membership attacks: importing this package enters them in the registry."""

from hwsim.privacy.attacks.base import Attack
from hwsim.privacy.attacks.energy import Energy
from hwsim.privacy.attacks.entropy import Entropy
from hwsim.privacy.attacks.gap import Gap
from hwsim.privacy.attacks.joint import Joint
from hwsim.privacy.attacks.latency import Latency
from hwsim.privacy.attacks.lira import Lira
from hwsim.privacy.attacks.loss import Loss
from hwsim.privacy.attacks.modified_entropy import ModifiedEntropy

__all__ = ["Attack", "Energy", "Entropy", "Gap", "Joint", "Latency", "Lira", "Loss", "ModifiedEntropy"]
