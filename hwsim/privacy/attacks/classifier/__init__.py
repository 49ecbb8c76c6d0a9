"""Attacks by a trained classifier (attack model)."""
