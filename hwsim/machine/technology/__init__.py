"""Measured energy, area and leakage numbers, their provenance, and technology presets."""
