"""Data sets of the registry family `dataset`: bundled sets, and published sets read from a data folder."""

from hwsim.datasets.base import Data, Dataset, DatasetCard, Pool
from hwsim.datasets.files import DATA_VARIABLE

__all__ = ["DATA_VARIABLE", "Data", "Dataset", "DatasetCard", "Pool"]
