"""Dataflows of the registry family `dataflow`, one file each: loops on the array, fold size, and fold overhead."""
