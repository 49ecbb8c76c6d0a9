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
from types import MappingProxyType
from typing import IO, Any

from hwsim import version
from hwsim.errors import BadInput, HwsimError
from hwsim.files import memory
from hwsim.files.reading import open_file
from hwsim.files.writing import make_folder, new_name
from hwsim.study.results.columns import ATTACK, AUDIT, GAIN, NOTES, RESULT

FILE = "study.db"
LOCK = "study.lock"
FORMAT = 3
"""Version of the SQLite schema and of the column names in stored results."""

_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE points (
    key TEXT PRIMARY KEY, settings TEXT NOT NULL, status TEXT NOT NULL, result TEXT NOT NULL
);
CREATE TABLE grid (settings_key TEXT PRIMARY KEY, key TEXT NOT NULL);
"""

_TEXTS = {column.name for column in NOTES}
_NUMBERS = {column.name for column in (*RESULT, *AUDIT)}
_ENDINGS = tuple(f"_{column.name}" for column in (*ATTACK, *GAIN))

_STATEMENTS = {statement.strip() for statement in _SCHEMA.split(";") if statement.strip()}
_OLD_STATEMENTS = {statement for statement in _STATEMENTS if " grid " not in statement}
"""Tables that a file of any format has."""


@dataclass(frozen=True)
class PointResult:
    """Result of one point: status "done", "infeasible" or "pending", the value of each result column, and the key."""

    status: str
    columns: Mapping[str, Any]
    key: str = ""


@dataclass(frozen=True, eq=False)
class Store:
    """An open study.db, made by `write_store` (one process at a time) or `read_store`.

    A point is stored under its key, the checksum of everything that affects its result. The table `grid` has the key of
    every point of the study that was last run, by the key of its settings alone. So the results of a study can be read
    without its data sets, and after one of them has changed.
    """

    path: Path
    connection: sqlite3.Connection

    @property
    def study(self) -> dict[str, Any]:
        """The mapping of the study that was last run in this folder."""
        return _study_of(_meta(self.connection), self.path)

    def results(self) -> dict[str, PointResult]:
        """Return the result of every finished point by its key, points of earlier runs included."""
        rows = self._rows("SELECT key, status, result FROM points")
        return {key: _result_of(key, status, result, self.path) for key, status, result in rows}

    def grid(self) -> dict[str, PointResult]:
        """Return the result of every point of the study that was last run, by its settings key."""
        rows = self._rows(
            "SELECT grid.settings_key, grid.key, status, result FROM grid LEFT JOIN points ON points.key = grid.key"
        )
        for settings_key, key, _, _ in rows:
            if not isinstance(settings_key, str) or not isinstance(key, str):
                raise _damaged(self.path, "a value of another type")
        return {
            settings_key: PointResult("pending", {}, key)
            if status is None
            else _result_of(key, status, result, self.path)
            for settings_key, key, status, result in rows
        }

    def _rows(self, query: str) -> list[Any]:
        try:
            return self.connection.execute(query).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise _damaged(self.path, str(error)) from None

    def add(self, key: str, settings: Mapping[str, Any], row: Mapping[str, Any]) -> PointResult:
        """Commit the row of one point to disk and return it without NaNs; `row` may have a "status"."""
        columns = {name: value for name, value in row.items() if not _is_nan(value)}
        result = PointResult(str(columns.pop("status", "done")), columns, key)
        text = (json.dumps(settings, sort_keys=True), result.status, json.dumps(columns, allow_nan=False))
        self.connection.execute(
            "INSERT OR REPLACE INTO points (key, settings, status, result) VALUES (?, ?, ?, ?)", (key, *text)
        )
        return result


@contextmanager
def write_store(
    folder: Path, study: Mapping[str, Any], keys: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Store]:
    """Open the store of a folder for writing, create it if it is missing, and save the study in it.

    `keys` is the key of each point of the study by its settings key.

    Raises HwsimError, and changes no file, when another process writes to the folder, when the file is
    damaged, or when another model version, format or study wrote it.
    """
    make_folder(folder)
    path = folder / FILE
    with _lock(folder):
        if not path.exists():
            _create(path, study)
        with _connect(path) as connection:
            store = Store(path, connection)
            name, old = study["study"]["name"], store.study["study"].get("name")
            if name != old:
                raise HwsimError(f"{path} contains the study {old!r}, not {name!r}; choose another folder with -o")
            connection.execute("BEGIN")
            connection.execute("UPDATE meta SET value = ? WHERE name = 'study'", (json.dumps(study),))
            connection.execute("DELETE FROM grid")
            connection.executemany("INSERT INTO grid VALUES (?, ?)", keys.items())
            connection.execute("COMMIT")
            yield store


@contextmanager
def read_store(folder: Path) -> Iterator[Store]:
    """Open the store of a folder for reading; raises HwsimError as `write_store` does, or when there is none."""
    path = folder / FILE
    if not path.exists():
        raise HwsimError(f"{folder}: no study here ({FILE} is missing); `hwsim sweep STUDY.toml -o {folder}` makes one")
    with _connect(path) as connection:
        yield Store(path, connection)


def _create(path: Path, study: Mapping[str, Any]) -> None:
    """Create the file under a temporary name and move it to `path`, so that study.db is never incomplete."""
    new = new_name(path)
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
        connection.close()
        new.replace(path)
    finally:
        connection.close()
        new.unlink(missing_ok=True)


@contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    # mode=rw for readers too: a killed writer leaves a journal that the next connection must roll back
    with open_file(path) as stream:  # refuses FIFOs and devices, which sqlite would open
        memory.require(stream.seek(0, 2), str(path))
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30)
    try:
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA trusted_schema = OFF")
            made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
            found = {str(sql).strip() for _, sql in made}
            if not _OLD_STATEMENTS <= found <= _STATEMENTS:  # a view or a trigger could compute anything
                raise _damaged(path, "other tables")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise _damaged(path, "its pages contradict each other")
            meta = _meta(connection)
        except sqlite3.OperationalError as error:
            raise HwsimError(f"{path}: cannot be opened: {error}") from None
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)) from None
        if not all(isinstance(text, str) for pair in meta.items() for text in pair):
            raise _damaged(path, "a value of another type")
        _check_version(path, meta)
        if found != _STATEMENTS:
            raise _damaged(path, "a table is missing")
        _study_of(meta, path)
        yield connection
    finally:
        connection.close()


def _damaged(path: Path, why: str) -> HwsimError:
    return HwsimError(
        f"{path}: damaged, or not a hwsim study ({' '.join(why.split())}); nothing was changed. Move it away and run "
        "again (the trained models in the same folder are reused)"
    )


def _study_of(meta: Mapping[str, str], path: Path) -> dict[str, Any]:
    """Return the mapping of the study, whose section `study` is a table."""
    mapping = _json(meta.get("study"), path, "its study")
    if not isinstance(mapping.get("study"), dict):
        raise _damaged(path, "its study has no name")
    return mapping


def _result_of(key: Any, status: Any, result: Any, path: Path) -> PointResult:
    """Return the result in a row; raises HwsimError for a row that `Store.add` cannot have written."""
    if not isinstance(key, str) or status not in ("done", "infeasible"):
        raise _damaged(path, f"a point {str(key)[:12]!r} of status {str(status)[:20]!r}")
    place = f"point {key[:12]}"
    columns = _json(result, path, place)
    for name, value in columns.items():
        if value is not None and not isinstance(value, _types_of(name)):
            raise _damaged(path, f"{place}: {name} is {type(value).__name__}, a value of another type")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise _damaged(path, f"{place}: {name} has more than 64 bits")
    return PointResult(status, columns, key)


def _types_of(name: str) -> Any:
    """Return the types of the values of a column; columns of attacks end in the names of ATTACK."""
    if name in _TEXTS:
        return str
    return int | float if name in _NUMBERS or name.endswith(_ENDINGS) else bool | int | float | str


def _json(text: Any, path: Path, place: str) -> dict[str, Any]:
    """Return the table that a JSON text contains; raises HwsimError for any other value."""
    if not isinstance(text, str):
        raise _damaged(path, f"{place} is no text")
    try:
        table = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{place}: {error}") from None
    if not isinstance(table, dict):
        raise _damaged(path, f"{place} is no table")
    return table


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


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
    path = folder / LOCK
    if path.exists() and not path.is_file():
        raise BadInput(str(path), "no regular file", "a regular file, or none")
    with path.open("a") as handle:  # nothing is written, so that a file of this name stays as it is
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HwsimError(
                f"{folder}: another hwsim is writing here; wait for it, or choose another folder"
            ) from None
        yield


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
