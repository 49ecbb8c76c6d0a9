"""Attacks that read predicted labels only."""
