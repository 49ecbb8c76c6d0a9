"""The command `check`: which kind of file a file is, and whether it is valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.app import app, print_status
from hwsim.errors import BadInput, HwsimError, UnknownName, UnknownSetting
from hwsim.files.reading import open_file


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Designs, studies, accelerators, topologies, networks, audit files."),
    ],
) -> None:
    """Check files: print what each is and its size, or the first error. Nothing is run, and no data set is read.

    The kind follows from the ending and the content. A .toml with tables such as study, base, axes, objectives is a
    study; with settings such as array, pe, scratchpads, dataflow, an accelerator; with choices such as dataset, model,
    quantizer, attacks, or with nothing at all, a design. If it has keys of several, the kind with most of them is
    assumed. A .csv is a topology, or a table of prices if its first line has the column pJ_per_bit. A .npz with the
    entry network.json is a network; any other is an input of hwsim audit.

    The paths of accelerators in a design or a study are relative to its folder.

    Example: hwsim check mine.toml
    """
    wrong = [file for file in files if not _is_valid(file)]
    if wrong:
        raise typer.Exit(HwsimError.exit_code)


def _is_valid(path: Path) -> bool:
    """Print one line about a file; False for one that is not valid."""
    try:
        open_file(path).close()
        suffix = path.suffix.lower()
        if suffix not in _ENDINGS:
            raise BadInput(str(path), f"a file that ends in {suffix!r}", ", ".join(_ENDINGS))
        kind, size = _ENDINGS[suffix](path)
    except HwsimError as error:
        print_status(f"hwsim: {error}" if str(path) in str(error) else f"hwsim: {path}: {error}")
        return False
    print(f"{path}: {kind}, {size}")
    return True


def _toml(path: Path) -> tuple[str, str]:
    from hwsim.design import DEFAULTS
    from hwsim.machine.description.toml_file import FILE_KEYS
    from hwsim.study.search.study import SECTIONS
    from hwsim.toml import read_toml

    content = read_toml(path)
    keys = {"design": DEFAULTS, "study": SECTIONS, "accelerator": FILE_KEYS}
    found = {kind: sum(key in known for key in content) for kind, known in keys.items()}
    kind = max(found, key=lambda one: found[one])
    if content and not found[kind]:
        raise UnknownSetting(f"{path}: {next(iter(content))}", {key for known in keys.values() for key in known})
    return kind, {"design": _design, "study": _study, "accelerator": _accelerator}[kind](path)


def _design(path: Path) -> str:
    from hwsim.design import load_design

    design = load_design(path)
    chosen = [design.names[group] for group in ("dataset", "model", "quantizer", "accelerator")]
    return f"{', '.join(chosen)}, {design.game.models} models, {_count(len(design.attacks), 'attack')}"


def _study(path: Path) -> str:
    from hwsim.study.search.study import load_study

    study = load_study(path)
    points = study.points()
    invalid = [point for point in points if point.design is None]
    if invalid:
        more = f"{len(invalid)} of {len(points)} points make no valid design and will be infeasible"
        print_status(f"hwsim: {path}: {more}; the first: {invalid[0].label}: {invalid[0].reason}")
    axes, objectives = ", ".join(study.axes) or "none", ", ".join(study.objectives)
    return f"{_count(len(points), 'point')}, axes {axes}, objectives {objectives}"


def _accelerator(path: Path) -> str:
    from hwsim.machine.description.toml_file import load_accelerator

    accelerator = load_accelerator(path)
    array = accelerator.array
    return f"{array.rows}x{array.cols} {accelerator.pe.name} PEs, {accelerator.dataflow}, {accelerator.clock}"


def _csv(path: Path) -> tuple[str, str]:
    from hwsim.interop.topology.csv_reader import read_topology
    from hwsim.machine.technology.provenance import read_prices
    from hwsim.machine.technology.technology import PRICE_ITEMS

    with open_file(path) as stream:
        first = stream.readline(1 << 16).strip().split(b",")
    if b"pJ_per_bit" in first:
        return "prices of a technology", _count(len(read_prices(path, PRICE_ITEMS)), "item")
    topology = read_topology(str(path))
    for note in topology.notes:
        print_status(note)
    return "topology", f"{_count(len(topology.layers), 'layer')}, {topology.macs:,} MACs per sample"


def _npz(path: Path) -> tuple[str, str]:
    from hwsim.files.archive import NPY, open_archive
    from hwsim.network.file import HEADER, load
    from hwsim.privacy.audit.npz_input import REQUIRED, read

    with open_archive(path) as archive:
        names = [name.removesuffix(NPY) for name in archive.names]
    if HEADER in names:
        network = load(path)
        shape = "x".join(map(str, network.input_shape))
        return "network", f"input {shape}, {_count(len(network.layers), 'layer')}"
    if names and not {*names} & {*REQUIRED}:
        allowed = (HEADER, *REQUIRED)
        raise UnknownName(f"{path}: entries (a network has {HEADER}, an audit file the others)", names[0], allowed)
    given = read(path)
    models, samples = given.game.keep.shape
    for note in given.notes:
        print_status(note)
    if given.unused:
        print_status(f"arrays not used: {', '.join(given.unused)}")
    return "audit file", f"{models} models, {samples:,} samples, channels {', '.join(given.channels)}"


_ENDINGS: Mapping[str, Callable[[Path], tuple[str, str]]] = {".toml": _toml, ".csv": _csv, ".npz": _npz}


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
