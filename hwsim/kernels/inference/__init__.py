"""Kernels of integer inference."""
