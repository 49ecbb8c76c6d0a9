"""The integer network: graph, file, and execution."""
