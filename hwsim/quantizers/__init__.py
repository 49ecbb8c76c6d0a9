"""Quantizers: from a trained float network to an integer network; a folder for each kind, a file for each method."""
