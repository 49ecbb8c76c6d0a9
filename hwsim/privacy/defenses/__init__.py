"""Defenses against membership inference, one file each; none is registered yet."""
