"""The engine: compiles a network for the kernels and runs it, bit for bit as `hwsim.reference` defines it."""
