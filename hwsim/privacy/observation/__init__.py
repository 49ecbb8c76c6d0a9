"""Observations: the channels of a deployed model that an adversary reads."""
