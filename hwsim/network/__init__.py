"""Integer networks: layers, graph, checks, and network files."""
