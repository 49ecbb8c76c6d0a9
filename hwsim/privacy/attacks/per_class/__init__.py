"""Attacks with a threshold for each class (Song and Mittal)."""
