"""Compiled leaf functions on arrays. Each is a faster form of a definition elsewhere and equals it bit for bit.

inference/   `interpreter` executes a compiled network and equals `hwsim.reference`; its steps are in `gemm`
             (on the register blocks of `microkernels`), `pointwise` and `requantize`; `instructions` is
             the format of its programs
machine/     cycles and switching activity of an accelerator: `tiling_search`, `row_sync` (on `simd_lanes`)
             and `toggles`
membership/  statistics of membership inference: `log_odds`, `shadow_moments`, `population_share`, `roc`
             and `bootstrap`

`compile` is the decorator of all kernels, `llvm` has helpers for generated code. `barrier` and `threads`
run one kernel on several threads, `buffer_pool` reuses memory. No result depends on the number of threads.
"""
