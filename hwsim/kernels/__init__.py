"""Numba leaf functions on arrays: each is an optimisation of one function of `hwsim.reference`.

Codes travel between layers as C-contiguous int16, accumulators as int32, which wraps as the
accumulator does. Samples are independent, so every kernel runs in parallel over them and gives the
same bits with any number of threads.
"""
