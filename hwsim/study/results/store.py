"""Result store of a study: one SQLite file that is consistent after a kill at any moment.

Design choice: rollback journal and full synchronization instead of WAL. A study commits a few points per second
at most, and one file without companions can be copied while no process writes to it.
"""

from __future__ import annotations

import fcntl
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hwsim import version
from hwsim.errors import HwsimError

FILE = "study.db"
FORMAT = 2
"""Version of the SQLite schema and of the column names in stored results."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE points (
    key TEXT PRIMARY KEY, settings TEXT NOT NULL, status TEXT NOT NULL, result TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class PointResult:
    """Result of one point: status "done", "infeasible" or "pending", and the value of each result column."""

    status: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Store:
    """An open study.db, made by `write_store` (one process at a time) or `read_store`."""

    path: Path
    connection: sqlite3.Connection

    @property
    def study(self) -> dict[str, Any]:
        """The mapping of the study that was last run in this folder."""
        mapping: dict[str, Any] = json.loads(_meta(self.connection)["study"])
        return mapping

    def results(self) -> dict[str, PointResult]:
        """Return the result of every finished point by its key."""
        rows = self.connection.execute("SELECT key, status, result FROM points")
        return {key: PointResult(status, json.loads(result)) for key, status, result in rows}

    def add(self, key: str, settings: Mapping[str, Any], row: Mapping[str, Any]) -> PointResult:
        """Commit the row of one point to disk and return it without NaNs; `row` may have a "status"."""
        columns = {name: value for name, value in row.items() if not _is_nan(value)}
        result = PointResult(str(columns.pop("status", "done")), columns)
        text = (json.dumps(settings, sort_keys=True), result.status, json.dumps(columns, allow_nan=False))
        self.connection.execute("INSERT INTO points (key, settings, status, result) VALUES (?, ?, ?, ?)", (key, *text))
        return result


@contextmanager
def write_store(folder: Path, study: Mapping[str, Any]) -> Iterator[Store]:
    """Open the store of a folder for writing, create it if it is missing, and save the study in it.

    Raises HwsimError, and changes no file, when another process writes to the folder, when the file is
    damaged, or when another model version, format or study wrote it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with _lock(folder):
        if not path.exists():
            _create(path, study)
        with _connect(path) as connection:
            store = Store(path, connection)
            name, old = study["study"]["name"], store.study["study"]["name"]
            if name != old:
                raise HwsimError(f"{path} contains the study {old!r}, not {name!r}; choose another folder with -o")
            connection.execute("UPDATE meta SET value = ? WHERE name = 'study'", (json.dumps(study),))
            yield store


@contextmanager
def read_store(folder: Path) -> Iterator[Store]:
    """Open the store of a folder for reading; raises HwsimError as `write_store` does, or when there is none."""
    path = folder / FILE
    if not path.is_file():
        raise HwsimError(f"{folder}: no study here ({FILE} is missing); `hwsim sweep STUDY.toml -o {folder}` makes one")
    with _connect(path) as connection:
        yield Store(path, connection)


def _create(path: Path, study: Mapping[str, Any]) -> None:
    """Create the file under a temporary name and move it to `path`, so that study.db is never incomplete."""
    new = path.with_suffix(".db.new")
    new.unlink(missing_ok=True)
    connection = sqlite3.connect(new)
    try:
        meta = {
            "format": str(FORMAT),
            "model_version": str(version.MODEL_VERSION),
            "hwsim": version.__version__,
            "study": json.dumps(study),
        }
        connection.executescript(_SCHEMA)
        with connection:
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    finally:
        connection.close()
    new.replace(path)


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    # mode=rw for readers too: a killed writer leaves a journal that the next connection must roll back
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)
    try:
        try:
            connection.execute("PRAGMA synchronous = FULL")
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
            meta = _meta(connection)
            connection.execute("SELECT key, settings, status, result FROM points LIMIT 1")
        except sqlite3.OperationalError as error:
            if "no such" not in str(error):
                raise HwsimError(f"{path}: cannot be opened: {error}") from None
            sound, meta = False, {}
        except sqlite3.DatabaseError:
            sound, meta = False, {}
        if not sound or "study" not in meta:
            raise HwsimError(
                f"{path}: damaged, or not a hwsim study; nothing was changed. Move it away and run again "
                "(the trained models in the same folder are reused)"
            )
        _check_version(path, meta)
        yield connection
    finally:
        connection.close()


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def _check_version(path: Path, meta: Mapping[str, str]) -> None:
    written = (meta.get("model_version"), meta.get("format"))
    present = (str(version.MODEL_VERSION), str(FORMAT))
    if written != present:
        raise HwsimError(
            f"{path}: written by hwsim {meta.get('hwsim')} (model version {written[0]}, format {written[1]}); this is "
            f"hwsim {version.__version__} (model version {present[0]}, format {present[1]}), whose numbers and column "
            "names may differ. Nothing was changed; choose another folder, or use the version that wrote it"
        )


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Allow one writer per folder; the operating system releases the lock when the process ends."""
    handle: IO[str]
    with (folder / "study.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HwsimError(
                f"{folder}: another hwsim is writing here; wait for it, or choose another folder"
            ) from None
        yield


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
