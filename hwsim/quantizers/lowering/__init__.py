"""Lowering, shared by all quantizers: fake quantization in torch, and the integer network."""
