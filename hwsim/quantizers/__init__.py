"""Quantizers by name: from a trained network to integers."""

from hwsim.quantizers import drq, float32, lsq, minmax
from hwsim.quantizers.base import Quantizer
from hwsim.quantizers.build import build_network
from hwsim.quantizers.fake import FakeQuantArithmetic
from hwsim.quantizers.grid import Grid, RegionRule, Scheme

__all__ = [
    "FakeQuantArithmetic",
    "Grid",
    "Quantizer",
    "RegionRule",
    "Scheme",
    "build_network",
    "drq",
    "float32",
    "lsq",
    "minmax",
]
