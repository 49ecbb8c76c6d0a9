"""Topology files, SCALE-Sim's CSV of layer sizes: reader, writer, and the built-in workloads."""
