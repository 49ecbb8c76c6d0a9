"""Dataflows of the registry family `dataflow`, one file each: what stays in the PEs, what streams, what a fold costs."""
