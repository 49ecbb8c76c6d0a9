"""Version of the package, and version of the numbers that it computes."""

__version__ = "0.1.0"

MODEL_VERSION = 3
"""Raised whenever a changed default changes a number; part of the key of each point."""
