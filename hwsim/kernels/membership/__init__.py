"""Kernels of the statistics of membership inference."""
