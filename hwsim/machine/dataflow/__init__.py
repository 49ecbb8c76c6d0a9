"""Dataflows, one file each: extents of a fold, cycles of a fold, and demands on the scratchpad ports."""
