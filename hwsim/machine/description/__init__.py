"""Accelerator descriptions: array, PE, memories, clock, and the TOML files that give them."""
