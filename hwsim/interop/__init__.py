"""Readers and writers of formats other than hwsim's own, a folder for each."""
