"""Execution of studies in worker processes."""
