"""Command line: parses arguments, calls functions, prints. Data goes to standard output, messages to standard error.

One module per group of commands; `hwsim.cli.app` contains the application and shared options.
"""

from importlib import import_module

from hwsim.cli.app import main

for _commands in ("studies", "audit", "debug", "machine", "catalog"):  # the order of the help
    import_module(f"{__name__}.{_commands}")

__all__ = ["main"]
