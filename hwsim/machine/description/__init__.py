"""Accelerator descriptions: array, PE, memories, clock, and their TOML files."""
