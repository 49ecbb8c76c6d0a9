"""Looking closely: one output element explained step by step, and where two runs part."""
