"""Debugging of integer networks: explain one output, trace a run, compare two runs."""
