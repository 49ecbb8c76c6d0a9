"""Torch modules, read into a float graph."""
