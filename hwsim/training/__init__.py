"""Training of float models: the models of the registry, ensembles, the training loop, and adversarial inputs."""
