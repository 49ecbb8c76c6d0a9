"""Reader of regular files: a folder, FIFO, device or socket is refused before it is opened, and sizes are bounded."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import BinaryIO

from hwsim.errors import BadInput, HwsimError

MAX_TEXT_BYTES = 16 << 20
"""Size of the largest text file that is read."""

FileId = tuple[int, int]
"""Device and inode: the identity of a file, whatever path leads to it."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)

_commands: list[set[FileId]] = []
"""Files opened for reading since each running `inputs_recorded` began."""


@contextmanager
def inputs_recorded() -> Iterator[None]:
    """Record the files that are opened for reading inside; the writer refuses to write over them.

    A command runs inside, so that it never replaces its own input. A program that reads a file, changes its content and
    writes it again needs no such protection.
    """
    _commands.append(set())
    try:
        yield
    finally:
        _commands.pop()


def record_input(path: str | Path) -> None:
    """Record a file that another library opens, such as a database."""
    _record(Path(path).stat())


def is_input(status: os.stat_result) -> bool:
    """Return True for a file that a running command has read."""
    return any((status.st_dev, status.st_ino) in command for command in _commands)


def kind_of(status: os.stat_result) -> str:
    """Return the kind of a file that is not regular, empty for a regular file.

    >>> kind_of(os.stat("/dev/null")), kind_of(os.stat("/"))
    ('a device', 'a folder')
    """
    if stat.S_ISREG(status.st_mode):
        return ""
    return next((word for test, word in _KINDS if test(status.st_mode)), "a special file")


def open_file(path: str | Path) -> BinaryIO:
    """Open a regular file for reading; a symbolic link to one is followed.

    Raises HwsimError, without opening it, for anything else: opening a FIFO waits for its writer, and opening a device
    may act on it.
    """
    try:
        _require_regular(path, Path(path).stat())
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        stream = os.fdopen(descriptor, "rb")
        try:
            status = os.fstat(descriptor)
            _require_regular(path, status)
        except BaseException:
            stream.close()
            raise
    except OSError as error:
        raise HwsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name, or a name that the file system cannot encode
        raise HwsimError(f"{str(path)!r}: cannot be read: {error}") from None
    _record(status)
    return stream


def read_bytes(path: str | Path, limit: int) -> bytes:
    """Return the content of a regular file; raises HwsimError for more than `limit` bytes."""
    try:
        with open_file(path) as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        raise HwsimError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise BadInput(str(path), f"more than {limit:,} bytes", f"at most {limit:,} bytes")
    return data


def read_text(path: str | Path, limit: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a regular file in UTF-8; raises HwsimError for another encoding."""
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise HwsimError(f"{path}: not a text file in UTF-8 (byte {error.start})") from None


def text_of(file: Path | Traversable) -> str:
    """Return the text of a file, or of a resource of a package, which need not be a file."""
    return read_text(file) if isinstance(file, Path) else file.read_text(encoding="utf-8")


def _require_regular(path: str | Path, status: os.stat_result) -> None:
    kind = kind_of(status)
    if kind == "a folder":
        raise HwsimError(f"{path}: cannot be read: Is a directory")
    if kind:
        raise BadInput(str(path), kind, "a regular file")


def _record(status: os.stat_result) -> None:
    if _commands:
        _commands[-1].add((status.st_dev, status.st_ino))
