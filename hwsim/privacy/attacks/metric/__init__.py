"""Attacks that compare one number per sample with one threshold."""
