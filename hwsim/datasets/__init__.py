"""Data sets by name: bundled ones that need nothing, and published ones that are read from a folder.

Every module of this folder that registers a data set is imported here, so a new file is enough.
"""

import importlib
import pkgutil

from hwsim.datasets.base import Card, Data, Dataset, Pool
from hwsim.datasets.files import DATA_VARIABLE

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["DATA_VARIABLE", "Card", "Data", "Dataset", "Pool"]
