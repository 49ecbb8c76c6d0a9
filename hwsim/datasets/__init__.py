"""Data sets by name: bundled ones that need nothing, and published ones that are read from a folder."""

from hwsim.datasets import bundled, fashion_mnist, location30
from hwsim.datasets.base import DATA_VARIABLE, Data, Dataset

__all__ = ["DATA_VARIABLE", "Data", "Dataset", "bundled", "fashion_mnist", "location30"]
