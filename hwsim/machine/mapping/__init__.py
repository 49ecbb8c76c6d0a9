"""Mapping of a layer onto an accelerator: tiles, loop order, and the records that kernels read."""
