"""Result store and result tables."""
