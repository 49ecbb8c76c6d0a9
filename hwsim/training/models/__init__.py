"""Models of the registry family `model`: torch modules with their training recipes."""
