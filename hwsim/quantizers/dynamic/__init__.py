"""Quantizers whose precision depends on the data."""
