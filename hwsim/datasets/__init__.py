"""Data sets of the registry family `dataset`: bundled ones that need nothing, and published ones read from a folder."""

from hwsim.datasets.base import Card, Data, Dataset, Pool
from hwsim.datasets.files import DATA_VARIABLE

__all__ = ["DATA_VARIABLE", "Card", "Data", "Dataset", "Pool"]
