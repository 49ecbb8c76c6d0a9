"""Application of the command line: exit codes and messages; command modules add their commands to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hwsim.errors import HwsimError, suggestion
from hwsim.version import MODEL_VERSION, __version__

# Commands import their modules inside their functions, so that --help starts fast.

app = typer.Typer(
    help="Bit-exact simulation of quantized networks on systolic arrays, with energy and membership-inference audit.",
    epilog="Start with: hwsim demo",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[2]
"""click's ClickException, whose module depends on the version of typer."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 found a problem, 2 bad input, 130 interrupted."""
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(
            args=None if arguments is None else list(arguments), prog_name="hwsim", standalone_mode=False
        )
        sys.stdout.flush()
    except HwsimError as error:
        print_status(f"hwsim: {error}")
        return error.exit_code
    except _USAGE_ERROR as error:
        print_status(f"hwsim: {_usage_message(error)}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader, such as head, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # such as a missing folder
        print_status(f"hwsim: {error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    return code if isinstance(code, int) else 0


def _usage_message(error: Any) -> str:
    """Return the message of a click error; for an unknown option with its present name or the nearest option."""
    option = getattr(error, "option_name", None)
    if option is None or error.ctx is None:
        return str(error.format_message())
    parameters = error.ctx.command.get_params(error.ctx)
    options = [name for parameter in parameters for name in parameter.opts if name.startswith("--")]
    return f"{option}: unknown option of `{error.ctx.command_path}`. {suggestion('option', option, options)}".strip()


def print_status(text: str) -> None:
    """Print one line on standard error."""
    print(" ".join(text.split("\n")), file=sys.stderr, flush=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hwsim {__version__} (model version {MODEL_VERSION})")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
