"""Lowering shared by all quantizers: the float twin with rounding, and the integer network."""
