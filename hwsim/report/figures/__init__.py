"""Figures of studies, hardware and privacy."""
