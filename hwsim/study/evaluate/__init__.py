"""Evaluation of one design: data, deployed models, hardware, audit."""
