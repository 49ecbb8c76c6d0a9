"""Attacks on side channels of the hardware, and on two versions of a model."""
