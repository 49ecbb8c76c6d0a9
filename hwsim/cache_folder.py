"""A folder for caches where neither the package nor the user's home can be written, as in many containers."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from pathlib import Path


def temporary_cache() -> Path | None:
    """Return a folder that only this user can read and write, the same in all processes; None if none can be made.

    Caches of compiled code are loaded without a check, so that a folder that somebody else made is not used.
    """
    try:
        temporary = Path(tempfile.gettempdir())
        user = os.getuid() if hasattr(os, "getuid") else 0
        folder = temporary / f"hwsim-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if is_writable(folder) and _is_private(folder, user):
            return folder
        return Path(tempfile.mkdtemp(prefix="hwsim-", dir=temporary))
    except OSError:
        return None


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def prepare_matplotlib() -> None:
    """Give matplotlib a temporary folder where it cannot write its own, so that it does not warn in every process."""
    if "MPLCONFIGDIR" in os.environ or all(map(is_writable, _matplotlib_folders())):
        return
    folder = temporary_cache()
    if folder is not None:
        os.environ["MPLCONFIGDIR"] = str(folder / "matplotlib")


def _matplotlib_folders() -> list[Path]:
    """Return the folders of settings and caches that matplotlib makes."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises an error for a user without a home
    if not sys.platform.startswith(("linux", "freebsd")):
        return [home / ".matplotlib"]
    return [
        Path(os.environ.get(name) or home / inner) / "matplotlib"
        for name, inner in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    ]


def _is_private(folder: Path, user: int) -> bool:
    if not hasattr(os, "getuid"):
        return True
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
