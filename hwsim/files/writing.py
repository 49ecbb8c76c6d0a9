"""Writer of every output file: whole or not at all, and never over something that must be kept.

A file is written under a temporary name in the folder of the output, flushed to the disk, and moved to its place. After
a kill the output is the former file or the complete new one. Of several threads or processes that write one file, each
writes a whole one, and the last one stays.

An output is refused where something other than a regular file is, where the file is an input of the running command,
and, without `force`, where it is a file that hwsim did not write. A file of hwsim is recognized by its mark, a text
that hwsim writes into all files of that kind.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hwsim.errors import BadInput, HwsimError
from hwsim.files.reading import is_input, kind_of

_EDGE_BYTES = 1 << 16
"""Bytes at the beginning and at the end of a file in which its mark is searched."""

_UNFINISHED = re.compile(r"\.hwsim-[0-9a-f]{16}\.part")
"""Temporary names, of which 2^64 exist."""

Mark = Callable[[bytes, bytes], bool]
"""Function of the first and the last bytes of a file: True for a file of hwsim."""


def contains(*texts: bytes) -> Mark:
    """Return the mark of files that contain one of these texts near their beginning or end.

    >>> contains(b"Made by hwsim")(b"<html>", b"Made by hwsim 1.0</html>")
    True
    """
    return lambda head, tail: any(text in head or text in tail for text in texts)


def header_with(*columns: str) -> Mark:
    """Return the mark of CSV files whose first line has these columns.

    >>> header_with("status", "key")(b"seed,status,key\\n0,done,ab\\n", b"")
    True
    """
    return lambda head, _: set(columns) <= set(head.split(b"\n")[0].decode("utf-8", "replace").strip().split(","))


GENERATOR = "hwsim"
"""Name of the program in the metadata of figures and traces, without the version, so that their bytes are stable."""

ZIP_COMMENT = b"hwsim"

NO_MARK: Mark = contains()
"""The mark of formats without a place for one: every existing file counts as a file of another program."""

SVG = contains(b"<dc:title>hwsim</dc:title>")
PNG = contains(b"Software\0hwsim")
PDF = contains(b"/Creator (hwsim)")
HTML = contains(b'<meta name="generator" content="hwsim">', b"<footer>Made by hwsim ")
ZIP = contains(b"\x05\x00" + ZIP_COMMENT, b'"semantics": "HQ1"', b'"version": "HQ1"')
TRACE = contains(b'"otherData": {"generator": "hwsim"')
STUDY_TABLE = header_with("status", "data_note", "reason", "key")
AUDIT_TABLE = header_with("attack", "auc", "n_members", "n_nonmembers")
AUDIT_ROWS = contains(b'[\n  {\n    "attack": "')
FAILURE = contains(b"Failure of hwsim ")


def write_file(path: str | Path, content: bytes | str | Callable[[IO[bytes]], None], mark: Mark, force: bool) -> None:
    """Write an output file atomically; the permissions of a replaced file are kept.

    Raises HwsimError as `check_output`, and where the file cannot be written; the former file then stays.

    Parameters
    ----------
    path : output; a symbolic link to a regular file is followed
    content : bytes, text, or a function that writes bytes to a stream
    mark : function that recognizes files of hwsim, which are replaced
    force : also replace a regular file that hwsim did not write
    """
    target = check_output(path, mark, force)
    replace_file(target, content)


def replace_file(path: Path, content: bytes | str | Callable[[IO[bytes]], None]) -> None:
    """Write a file atomically, without a look at what it replaces: for files with names that only hwsim gives."""
    try:
        unfinished = new_name(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(unfinished, flags, 0o666)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _keep_permissions(path, descriptor)
            if callable(content):
                content(stream)
            else:
                stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        unfinished.unlink(missing_ok=True)


def check_output(path: str | Path, mark: Mark, force: bool) -> Path:
    """Return the file that an output would be, with symbolic links followed; raises HwsimError where it is refused.

    A command calls it before a long computation, so that the answer to a wrong name comes at once.
    """
    name = str(path)
    if not name or "\0" in name:
        raise BadInput("output", repr(name), "the name of a file")
    try:
        target = Path(os.path.realpath(path))
        try:
            status = target.stat()
        except FileNotFoundError:
            _check_folder(target, name)
            return target
        kind = kind_of(status)
        if kind:
            raise BadInput(name, kind, "a new file, or a regular file that hwsim wrote")
        if is_input(status):
            raise BadInput(name, "an input of this command", "another file for the output")
        if not os.access(target, os.W_OK):
            raise HwsimError(f"{name}: cannot be written: Permission denied")
        if not force and not _is_marked(target, mark):
            raise BadInput(name, "a file that hwsim did not write", "a new file, or --force to replace it")
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from None
    return target


def make_folder(path: str | Path) -> Path:
    """Create a folder for outputs, with its parents; raises HwsimError where that cannot be."""
    if not str(path) or "\0" in str(path):
        raise BadInput("output", repr(str(path)), "the name of a folder")
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise BadInput(str(path), "a file", "a folder, or the name of a new one") from None
    except NotADirectoryError:
        raise BadInput(str(path), "a path through a file", "a folder, or the name of a new one") from None
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from None
    return path


def new_name(path: Path) -> Path:
    """Return a temporary name in the folder of `path`."""
    return path.with_name(f".hwsim-{secrets.token_hex(8)}.part")


def is_unfinished(name: str) -> bool:
    """Return True for the temporary name of a file that was not completed.

    >>> is_unfinished(".hwsim-0123456789abcdef.part"), is_unfinished(".notes")
    (True, False)
    """
    return _UNFINISHED.fullmatch(name) is not None


def remove_unfinished(folder: Path) -> None:
    """Remove the files that killed writers left in a folder into which no other process writes."""
    for path in sorted(folder.iterdir()):
        if is_unfinished(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def _is_marked(path: Path, mark: Mark) -> bool:
    with path.open("rb") as stream:
        head = stream.read(_EDGE_BYTES)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _EDGE_BYTES))
        return mark(head, stream.read(_EDGE_BYTES))


def _check_folder(path: Path, name: str) -> None:
    folder = path.parent
    if not folder.exists():
        raise BadInput(name, "a folder that does not exist", "a file in an existing folder")
    if not folder.is_dir():
        raise BadInput(name, "a folder that is a file", "a file in an existing folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise HwsimError(f"{name}: cannot be written: Permission denied")


def _keep_permissions(path: Path, descriptor: int) -> None:
    try:
        mode = path.stat().st_mode & 0o7777
    except OSError:
        return
    os.fchmod(descriptor, mode)


def _not_written(path: str | Path, error: OSError | ValueError) -> HwsimError:
    reason = error.strerror if isinstance(error, OSError) else None
    return HwsimError(f"{path}: cannot be written: {reason or error}")
