"""The command line: parses, calls, prints. Data goes to standard output, everything else to standard error.

One module per group of commands; `hwsim.cli.app` holds what they share.
"""

from importlib import import_module

from hwsim.cli.app import main

for _commands in ("studies", "audit", "debug", "machine", "catalog"):  # the order of the help
    import_module(f"{__name__}.{_commands}")

__all__ = ["main"]
