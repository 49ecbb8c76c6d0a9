"""hwsim: a network becomes integers, an accelerator runs exactly those integers, and the run is counted and audited.

The public names load their modules when they are first used, so that importing hwsim costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
MODEL_VERSION = 3
"""Raised whenever a default changes a number; part of every point's key."""

_PUBLIC = {
    "build": "hwsim.registry",
    "family": "hwsim.registry",
    "Format": "hwsim.formats",
    "QTensor": "hwsim.formats",
    "Network": "hwsim.network.graph",
    "Layer": "hwsim.network.layer",
    "execute": "hwsim.engine.execute",
    "bounds": "hwsim.network.bounds",
    "overflow_free": "hwsim.network.bounds",
    "save": "hwsim.network.file",
    "load": "hwsim.network.file",
    "explain": "hwsim.examine.explain",
    "trace": "hwsim.examine.trace",
    "diff": "hwsim.examine.diff",
    "Members": "hwsim.training.ensemble",
    "Ensemble": "hwsim.training.ensemble",
    "train": "hwsim.training.ensemble",
    "quantize": "hwsim.training.quantize",
    "quantize_ensemble": "hwsim.training.quantize",
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
    "Study": "hwsim.study.study",
    "load_study": "hwsim.study.study",
    "run_study": "hwsim.study.engine",
}

__all__ = ["MODEL_VERSION", "__version__", *_PUBLIC]

if TYPE_CHECKING:
    from hwsim.design import Design, load_design
    from hwsim.engine.execute import execute
    from hwsim.examine.diff import diff
    from hwsim.examine.explain import explain
    from hwsim.examine.trace import trace
    from hwsim.formats import Format, QTensor
    from hwsim.machine.estimate import estimate
    from hwsim.machine.simulate import simulate
    from hwsim.network.bounds import bounds, overflow_free
    from hwsim.network.file import load, save
    from hwsim.network.graph import Network
    from hwsim.network.layer import Layer
    from hwsim.privacy import Game, audit, balanced_keep, observe, paired_difference, score
    from hwsim.registry import build, family
    from hwsim.study.engine import run_study
    from hwsim.study.study import Study, load_study
    from hwsim.training.ensemble import Ensemble, Members, train
    from hwsim.training.quantize import quantize, quantize_ensemble


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
