"""The membership attacks, one file each: importing this package enters them all in the registry."""

from importlib import import_module
from pkgutil import iter_modules

from hwsim.privacy.attacks.base import Attack

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["Attack"]
