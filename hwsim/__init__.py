"""hwsim: a network becomes integers, an accelerator runs exactly those integers, and the run is counted and audited."""

__version__ = "0.1.0"
MODEL_VERSION = 1
"""Raised whenever a default changes a number; part of every point's key."""
