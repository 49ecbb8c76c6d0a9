"""Processing elements of the registry family `pe`, one file each."""
