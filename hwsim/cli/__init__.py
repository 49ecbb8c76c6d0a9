"""Command line: parses arguments, calls functions, prints. Data goes to standard output, messages to standard error.

One module per group of commands; `hwsim.cli.app` contains the application and shared options.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from hwsim import interrupt

COMMANDS = ("studies", "audit", "debug", "machine", "catalog", "check")
"""Modules of the commands, in the order of the help; they are imported by `main`, once Ctrl-C is heard."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 found a problem, 2 bad input, 130 interrupted.

    `arguments` are those of the process by default, which then ends with this call.
    """
    if arguments is None:
        interrupt.listen()
    try:
        code = application().exit_code(arguments)
    except KeyboardInterrupt:
        print(interrupt.line(), file=sys.stderr)
        code = interrupt.EXIT_CODE
    if arguments is None:
        interrupt.stop_listening()
    sys.exit(code)


def application() -> ModuleType:
    """Import all commands, and return the module with their application."""
    for name in COMMANDS:
        import_module(f"hwsim.cli.{name}")
    return import_module("hwsim.cli.app")


__all__ = ["application", "main"]
