"""Built-in workloads: the topology files of `accel_models/topologies`, whose README gives their sources."""

from __future__ import annotations

import os
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hwsim.errors import UnknownName
from hwsim.interop.topology.csv_reader import parse_topology, read_topology
from hwsim.interop.topology.topology import OutputSize, Topology

SUFFIX = ".csv"


def workloads() -> dict[str, str]:
    """Return the built-in workloads by name, each with a one-line description.

    >>> workloads()["lenet5"]
    'LeNet-5 for 32x32 digits, C3 connected densely'
    """
    return {name: _text(entry).splitlines()[0].lstrip("# ") for name, entry in _entries().items()}


def load_workload(name_or_path: str | Path, output_size: OutputSize = "ceil") -> Topology:
    """Read a built-in workload by name, or the topology file at a path.

    Names come first; `./alexnet` or `alexnet.csv` is always a file. `output_size` is the rule for convolutions without
    a given padding; built-in workloads have none. Raises UnknownName with the nearest name, and for files as
    `read_topology`.

    >>> load_workload("resnet18").macs
    1814073344
    """
    text, built_in = os.fspath(name_or_path), _entries()
    if text in built_in and not isinstance(name_or_path, Path):
        return parse_topology(_text(built_in[text]), text + SUFFIX, output_size)
    path = Path(text)
    if isinstance(name_or_path, Path) or path.suffix.lower() == SUFFIX or path.name != text or path.exists():
        return read_topology(text, output_size)
    raise UnknownName(f"workload (a name, or the path of a {SUFFIX} file)", text, built_in)


def _entries() -> dict[str, Traversable]:
    """Return the built-in files by name, sorted."""
    folder = files("accel_models") / "topologies"
    found = {entry.name.removesuffix(SUFFIX): entry for entry in folder.iterdir() if entry.name.endswith(SUFFIX)}
    return dict(sorted(found.items()))


def _text(entry: Traversable) -> str:
    return entry.read_text(encoding="utf-8")
