"""Numba leaf functions on arrays, each an optimisation of something defined elsewhere.

`program` runs a compiled network and must equal `hwsim.reference` bit for bit; its steps are in
`multiply` (on the register tiles of `tiles`) and `maps`, their words in `words`. The others count for
the machine (`tiles_of_layer`, `variable_steps`, `toggles`) and for the statistics of attacks
(`log_odds`, `shadows`, `shares`, `roc`, `bootstrap`). All give the same bits with any number of threads.
"""
