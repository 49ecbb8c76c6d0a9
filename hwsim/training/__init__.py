"""Training: models by name, and many of them at once."""
