"""Readers and writers of foreign formats, a folder for each: `torch` (modules) and `topology` (layer sizes as CSV)."""
