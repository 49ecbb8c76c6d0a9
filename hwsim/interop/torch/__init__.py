"""Reader of torch modules: a float graph and its weights."""
