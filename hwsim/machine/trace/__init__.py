"""Activity of array, DRAM port and vector unit over time."""
