"""Versions: of the package, and of the numbers that it computes."""

__version__ = "0.1.0"

MODEL_VERSION = 5
"""Raised whenever a default changes a number or a stored name changes; part of the key of every point."""
