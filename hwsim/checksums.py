"""Checksums of files and of code, for the keys of stored results.

Every checksum is that of the bytes on disk at the moment of the call.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from hwsim.cache import cached, on_clear
from hwsim.errors import HwsimError

PLUGINS = "hwsim.plugins"
"""Entry-point group of packages that register their own members."""

NUMERIC_LIBRARIES = ("numba", "numpy", "scikit-learn", "scipy", "torch")
"""Libraries whose versions can change a result."""

_KNOWN = {*sys.stdlib_module_names, "accel_models", "hwsim", "pydantic", "pydantic_core"} - {"__main__"}
"""Top-level modules whose code is not that of a choice, or is identified otherwise."""

_SETTLED_NS = 2_000_000_000
"""Age from which the time stamps of a file are trusted: a younger file can change once more within one clock tick."""

_known: dict[str, tuple[tuple[int, ...], str]] = {}
on_clear(_known.clear)


def file_checksum(path: Path) -> str:
    """Return the SHA-256 (hex) of a file.

    The checksum of a file whose inode, size and time stamps are unchanged is not computed again. The time of the last
    change of the inode is among them, which programs cannot set.
    """
    try:
        with path.open("rb") as file:
            stat = path.stat()
            state = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
            place = str(path.absolute())
            old = _known.get(place)
            if old is not None and old[0] == state:
                return old[1]
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HwsimError(f"{path}: cannot be read: {error.strerror}") from None
    if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _SETTLED_NS:
        _known[place] = state, found
    return found


def folder_checksum(folder: Path) -> str:
    """Return the SHA-256 (hex) of the relative paths and the bytes of all files in a folder, caches of Python excepted.

    >>> from importlib.resources import files
    >>> len(folder_checksum(Path(str(files("accel_models") / "technology"))))
    64
    """
    digest = hashlib.sha256()
    for path in _files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_checksum(path)}\n".encode())
    return digest.hexdigest()


def code_checksums(cls: type) -> dict[str, str]:
    """Return the checksums of the code that defines a class and its bases, by the name of a module or package.

    For a class outside of hwsim this is its whole package, data files included, the packages that it imports from
    outside of the folders of installed packages, and, for a plugin, the version and all files of its distribution and
    the versions of the distributions that it requires.

    Design choice: of hwsim's own code only the modules with the class and its bases count. A user may have edited the
    file of an attack; the numbers of the code that all choices share are identified by `hwsim.version.MODEL_VERSION`.
    """
    found: dict[str, str] = {}
    for base in cls.__mro__:
        top = base.__module__.partition(".")[0]
        if top == "hwsim":
            if base.__module__ != "hwsim.registry":  # the base of all members, which computes nothing
                found[base.__module__] = _source_checksum(sys.modules[base.__module__])
        elif top not in _KNOWN:
            found |= _foreign(sys.modules[base.__module__])
    return found


@cached(1)
def library_versions() -> Mapping[str, str]:
    """Return the versions of the libraries that compute results.

    >>> sorted(library_versions()) == sorted(NUMERIC_LIBRARIES)
    True
    """
    return {name: metadata.version(name) for name in NUMERIC_LIBRARIES}


def _foreign(module: ModuleType) -> dict[str, str]:
    """Return the checksums of the package of a module, and of the packages that it imports from other folders."""
    found: dict[str, str] = {}
    name, place = _find(_name(module)) or (_name(module), _source_file(module))
    waiting = [(name, place)]
    while waiting:
        name, place = waiting.pop()
        if name in found:
            continue
        if place is None:
            found[name] = _source_checksum(module)
            continue
        found[name] = folder_checksum(place) if place.is_dir() else file_checksum(place)
        found |= _distribution(name.partition(".")[0])
        for file in _files(place) if place.is_dir() else [place]:
            if file.suffix == ".py":
                waiting += _imported(file, file_checksum(file))
    return found


@cached(1024)
def _imported(file: Path, checksum: str) -> list[tuple[str, Path]]:
    """Return name and place of the packages outside of installed ones that a source file imports; `checksum` is its."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    found = (_find(name) for name in sorted(names) if name.partition(".")[0] not in _KNOWN)
    return [one for one in found if one and not _installed(one[1])]


def _find(name: str) -> tuple[str, Path] | None:
    """Return name and place of the outermost package that a module belongs to, without an import; None for no file.

    A place is a folder, or the file of a module outside of packages. A package without `__init__.py` is only a prefix
    of names: its inner packages count, and a module in it counts with the folder that it lies in.
    """
    top, *inner = name.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.has_location and spec.origin and Path(spec.origin).is_file():
        origin = Path(spec.origin)
        return top, origin.parent if spec.submodule_search_locations else origin
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    prefix = top
    for part in inner:
        for folder in folders:
            if (folder / part / "__init__.py").is_file():
                return f"{prefix}.{part}", folder / part
            if (folder / f"{part}.py").is_file():
                return prefix, folder
        folders, prefix = [folder / part for folder in folders], f"{prefix}.{part}"
    return None


def _installed(place: Path) -> bool:
    """Return whether a package lies where installers put packages, which are identified by their versions."""
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts)


def _distribution(top: str) -> dict[str, str]:
    """Return version, files and requirements of the distribution whose plugin has this top-level module."""
    found: dict[str, str] = {}
    for plugin in _plugins():
        if plugin.dist is None or plugin.module.partition(".")[0] != top:
            continue
        name = plugin.dist.name
        found[f"{name} version"] = plugin.dist.version
        for file in plugin.dist.files or ():
            path = Path(str(plugin.dist.locate_file(file)))
            if file.suffix != ".pyc" and not file.parts[0].endswith(".dist-info") and path.is_file():
                found[f"{name} {file.as_posix()}"] = file_checksum(path)
        for requirement in plugin.dist.requires or ():
            required = requirement.partition(";")[0].strip()
            end = next((i for i, c in enumerate(required) if not (c.isalnum() or c in "-_.")), len(required))
            try:
                found[f"{name} needs {required[:end]}"] = metadata.version(required[:end])
            except metadata.PackageNotFoundError:  # of an extra that is not installed
                continue
    return found


@cached(1)
def _plugins() -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=PLUGINS))


def _name(module: ModuleType) -> str:
    """Return the name of a module; the main program is `__mp_main__` in its worker processes."""
    return "__main__" if module.__name__ == "__mp_main__" else module.__name__


def _source_file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file and Path(file).is_file() else None


def _source_checksum(module: ModuleType) -> str:
    """Return the checksum of the source of a module; raises HwsimError where it has none, as in a notebook."""
    file = _source_file(module)
    if file is not None:
        return file_checksum(file)
    source = getattr(getattr(module, "__loader__", None), "get_source", lambda name: None)(module.__name__)
    if not source:
        raise HwsimError(
            f"module {_name(module)}: its source is in no file; put it into one, so that a change is noticed"
        )
    return hashlib.sha256(source.encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders in alphabetical order, without caches and hidden files."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__" or path.suffix == ".pyc":
            continue
        found += _files(path) if path.is_dir() else [path] if path.is_file() else []
    return found
