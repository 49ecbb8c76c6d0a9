"""Versions: of the package, and of the numbers that it computes."""

__version__ = "0.1.0"

MODEL_VERSION = 3
"""Raised whenever a default changes a number; part of every point's key."""
