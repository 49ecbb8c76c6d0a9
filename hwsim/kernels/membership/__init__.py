"""Kernels of membership-inference statistics."""
