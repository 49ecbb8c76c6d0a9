"""Bit-exact simulation of quantized networks on systolic arrays, with energy and membership-inference audit.

The five steps are `quantize`, `simulate`, `estimate`, `observe` and `audit`. Public names import their modules on first
use, so that `import hwsim` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hwsim.errors import suggestion
from hwsim.version import MODEL_VERSION, __version__

_MODULES = {
    "build": "hwsim.registry",
    "family": "hwsim.registry",
    "Format": "hwsim.formats",
    "QTensor": "hwsim.formats",
    "Network": "hwsim.network.graph",
    "Layer": "hwsim.network.layer",
    "execute": "hwsim.engine.execute",
    "accumulator_bounds": "hwsim.network.graph",
    "overflow_free": "hwsim.network.graph",
    "save": "hwsim.network.file",
    "load": "hwsim.network.file",
    "explain": "hwsim.debug.explain",
    "trace": "hwsim.debug.trace",
    "diff": "hwsim.debug.diff",
    "Members": "hwsim.training.ensemble",
    "Ensemble": "hwsim.training.ensemble",
    "train": "hwsim.training.ensemble",
    "quantize": "hwsim.quantizers.quantize",
    "quantize_ensemble": "hwsim.quantizers.quantize",
    "simulate": "hwsim.machine",
    "estimate": "hwsim.machine",
    "observe": "hwsim.privacy",
    "audit": "hwsim.privacy",
    "score": "hwsim.privacy",
    "paired_difference": "hwsim.privacy",
    "Game": "hwsim.privacy",
    "balanced_keep": "hwsim.privacy",
    "Design": "hwsim.design",
    "load_design": "hwsim.design",
    "Study": "hwsim.study.search.study",
    "load_study": "hwsim.study.search.study",
    "run_study": "hwsim.study.run.runner",
}

__all__ = [
    "MODEL_VERSION",
    "Design",
    "Ensemble",
    "Format",
    "Game",
    "Layer",
    "Members",
    "Network",
    "QTensor",
    "Study",
    "__version__",
    "accumulator_bounds",
    "audit",
    "balanced_keep",
    "build",
    "diff",
    "estimate",
    "execute",
    "explain",
    "family",
    "load",
    "load_design",
    "load_study",
    "observe",
    "overflow_free",
    "paired_difference",
    "quantize",
    "quantize_ensemble",
    "run_study",
    "save",
    "score",
    "simulate",
    "trace",
    "train",
]

if TYPE_CHECKING:
    from hwsim.debug.diff import diff
    from hwsim.debug.explain import explain
    from hwsim.debug.trace import trace
    from hwsim.design import Design, load_design
    from hwsim.engine.execute import execute
    from hwsim.formats import Format, QTensor
    from hwsim.machine.cost.estimate import estimate
    from hwsim.machine.simulate import simulate
    from hwsim.network.file import load, save
    from hwsim.network.graph import Network, accumulator_bounds, overflow_free
    from hwsim.network.layer import Layer
    from hwsim.privacy import Game, audit, balanced_keep, paired_difference, score
    from hwsim.privacy.observation.observe import observe
    from hwsim.quantizers.quantize import quantize, quantize_ensemble
    from hwsim.registry import build, family
    from hwsim.study.run.runner import run_study
    from hwsim.study.search.study import Study, load_study
    from hwsim.training.ensemble import Ensemble, Members, train


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    hint = "" if name.startswith("_") else suggestion("python", name, _MODULES)
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}. {hint}".removesuffix(". "))


def __dir__() -> list[str]:
    return sorted(__all__)
