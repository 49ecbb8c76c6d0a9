"""Comparison of `hwsim.reference` with independent tools that compute the same integers."""
