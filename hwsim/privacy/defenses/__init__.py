"""Defenses against membership inference, one file each, with hooks at training, quantization, run and output port."""
