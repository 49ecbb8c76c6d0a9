"""Kernels that count cycles, traffic and toggles."""
