"""Topology files of SCALE-Sim: layer sizes as CSV, and the built-in workloads."""
