"""Kernels of cycles, traffic and switching activity of an accelerator."""
