"""Cycles by cause, memory traffic and event counts of a mapped layer."""
