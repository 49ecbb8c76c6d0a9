"""Switching activity: bits that toggle in the array."""
