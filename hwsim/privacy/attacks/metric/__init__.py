"""Metric attacks: one number per sample against one threshold."""
