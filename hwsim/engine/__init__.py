"""Inference engine: compiler from a network to a program, and its execution, bit for bit as in `hwsim.reference`."""
