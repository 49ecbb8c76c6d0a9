"""Application of the command line: exit codes and messages; command modules add their commands to it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from hwsim import interrupt
from hwsim.cli import streams
from hwsim.errors import BadInput, HwsimError, suggestion
from hwsim.files.reading import inputs_recorded
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

Force = Annotated[bool, typer.Option("--force", help="Also replace files that hwsim did not write.")]

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def exit_code(arguments: Sequence[str] | None) -> int:
    """Run a command and return the exit code, after messages of one line for all errors of a user."""
    if "stdout" in streams.replace_closed():
        print_status("hwsim: standard output is closed: it shows nothing")
    code = _run(arguments)
    error = streams.flush()
    if code == 0 and error is not None:
        code = _of_os_error(error)
        streams.flush()
    return code


def _run(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(app)
    given = sys.argv[1:] if arguments is None else list(arguments)
    interrupt.say()
    warnings.showwarning = _print_warning
    try:
        _refuse_empty(given)
        with inputs_recorded():
            code = command.main(args=given, prog_name="hwsim", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = interrupt.EXIT_CODE
    except Exception as error:
        if not interrupt.heard():  # else a consequence of the interruption
            return _of_error(error)
        code = interrupt.EXIT_CODE
    if code == interrupt.EXIT_CODE or interrupt.heard():
        print_status(interrupt.line())
        return interrupt.EXIT_CODE
    return code if isinstance(code, int) else 0


def _of_error(error: Exception) -> int:
    """Print the message of an error and return its exit code; raises the error if it is no user's."""
    if isinstance(error, HwsimError):
        print_status(f"hwsim: {error}")
        return error.exit_code
    if isinstance(error, _USAGE_ERROR):
        print_status(f"hwsim: {_usage_message(error)}")
        return 2
    if isinstance(error, OSError):
        return _of_os_error(error)
    raise error


def _of_os_error(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):  # the reader, such as head, has closed the pipe
        return 1
    print_status(f"hwsim: {error.filename or 'input or output'}: {error.strerror or error}")  # such as a missing folder
    return 2


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise BadInput for an empty argument, such as -o "$UNSET": as a path it would mean the present folder."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        option = argument[:-1] if argument.startswith("-") and argument.endswith("=") else before
        if not argument or option != before:
            raise BadInput(option if option.startswith("-") else "argument", "nothing", "a value that is not empty")


def _usage_message(error: Any) -> str:
    """Return the message of a click error; for an unknown option with its present name or the nearest option."""
    option = getattr(error, "option_name", None)
    if option is None or error.ctx is None:
        return str(error.format_message())
    parameters = error.ctx.command.get_params(error.ctx)
    options = [name for parameter in parameters for name in parameter.opts if name.startswith("--")]
    return f"{option}: unknown option of `{error.ctx.command_path}`. {suggestion('option', option, options)}".strip()


def _print_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """Print a warning as one line, without the place in the code."""
    print_status(f"hwsim: warning: {message}")


def print_status(text: str) -> None:
    """Print one line on standard error; a message that cannot be read is no error."""
    with suppress(OSError):
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
