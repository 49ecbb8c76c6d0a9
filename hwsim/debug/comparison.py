"""Comparison of two files, each a run or a network; a network is traced before the comparison."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.diff import Difference, diff
from hwsim.debug.events import ArithmeticEvents, events
from hwsim.debug.inputs import RANDOM_SAMPLES, SEED, check_codes, random_codes, read_codes
from hwsim.debug.runs import RunFile, is_network
from hwsim.debug.trace import trace
from hwsim.errors import BadInput
from hwsim.network.file import load
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """One side of a comparison.

    Attributes
    ----------
    path : file
    run : codes [sample, *shape] by layer name
    network : the network, where the file contains one
    """

    path: Path
    run: Mapping[str, NDArray[np.integer]]
    network: Network | None = None

    @property
    def events(self) -> dict[str, ArithmeticEvents]:
        """Numbers of ties, clips and overflows by layer; empty without a network."""
        return {} if self.network is None else events(self.network, self.run)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two compared runs.

    Attributes
    ----------
    a, b : the two runs
    difference : their differences
    input_from : file of the input codes; None for random codes
    note : origin of the input codes, as text
    """

    a: ComparedRun
    b: ComparedRun
    difference: Difference
    input_from: Path | None
    note: str

    def commands(self) -> list[str]:
        """Return the commands that explain the first differing element, one per network."""
        first = self.difference.first
        if first is None or first.first is None or first.layer == INPUT:
            return []
        sample, *at = first.first
        place = ["--layer", first.layer, "--at", ",".join(map(str, at)), "--sample", str(sample)]
        source = [] if self.input_from is None else ["--input", str(self.input_from)]
        return [
            shlex.join(["hwsim", "explain", str(compared.path), *place, *source])
            for compared in (self.a, self.b)
            if compared.network is not None
        ]


def compare(path_a: Path, path_b: Path, input_path: Path | None = None, common: bool = False) -> Comparison:
    """Compare two files; a network is traced on `input_path`, else on the other run's input, else on random codes."""
    paths = (path_a, path_b)
    networks = [load(path) if is_network(path) else None for path in paths]
    files = [None if network else RunFile(path) for network, path in zip(networks, paths, strict=True)]
    input_from = _input_file(input_path, networks, files)
    a, b = (_traced(*each, input_from) for each in zip(paths, networks, files, strict=True))
    order = list(next((compared.run for compared in (a, b) if compared.network), a.run))
    difference = diff(a.run, b.run, common, order, (str(path_a), str(path_b)))
    return Comparison(a, b, difference, input_from, _note(input_from, networks))


def _input_file(given: Path | None, networks: list[Network | None], files: list[RunFile | None]) -> Path | None:
    """Return the file of the input codes; None for random codes, and without a network to trace."""
    if not any(networks):
        if given is not None:
            raise BadInput("--input", str(given), "only with a network file: both files are runs")
        return None
    if given is not None or all(networks):
        return given
    (run,) = (file for file in files if file is not None)
    if INPUT in run:
        return run.path
    raise BadInput("--input", None, f"a .npy of the input codes of {run.path}, which does not contain them")


def _traced(path: Path, network: Network | None, file: RunFile | None, input_from: Path | None) -> ComparedRun:
    if network is None:
        assert file is not None
        return ComparedRun(path, file)
    codes = random_codes(network, samples=RANDOM_SAMPLES) if input_from is None else read_codes(input_from, network)
    return ComparedRun(path, trace(network, check_codes(network, codes)), network)


def _note(input_from: Path | None, networks: list[Network | None]) -> str:
    if not any(networks):
        return ""
    return (
        f"input: {input_from or f'{RANDOM_SAMPLES} samples of random codes, seed {SEED}; choose others with --input'}"
    )
