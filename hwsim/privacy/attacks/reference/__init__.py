"""Attacks that compare a sample with its reference (shadow) models."""
