"""Files: readers that trust nothing, and the writer of every output."""
