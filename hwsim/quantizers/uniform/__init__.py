"""Quantizers with equally spaced codes."""
