"""The two sides of a comparison: each is a run file, or a network that is traced on the spot."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsim.debug.diff import Difference, diff
from hwsim.debug.events import Events, events
from hwsim.debug.inputs import RANDOM_SAMPLES, SEED, check_codes, random_codes, read_codes
from hwsim.debug.runs import RunFile, is_network
from hwsim.debug.trace import trace
from hwsim.errors import BadInput
from hwsim.network.file import load
from hwsim.network.graph import Network
from hwsim.network.layer import INPUT


@dataclass(frozen=True, eq=False)
class Side:
    """One side: its file, its run, and the network where the file is one."""

    path: Path
    run: Mapping[str, NDArray[np.integer]]
    network: Network | None = None

    @property
    def events(self) -> dict[str, Events]:
        """Ties, clips and overflows by layer; empty where no network is known."""
        return {} if self.network is None else events(self.network, self.run)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides and where they part. `input_from` is the file that the input came from, `note` says so in words."""

    a: Side
    b: Side
    difference: Difference
    input_from: Path | None
    note: str

    def commands(self) -> list[str]:
        """The commands that explain the first element that differs, one per network."""
        first = self.difference.first
        if first is None or first.first is None or first.layer == INPUT:
            return []
        sample, *at = first.first
        place = ["--layer", first.layer, "--at", ",".join(map(str, at)), "--sample", str(sample)]
        source = [] if self.input_from is None else ["--input", str(self.input_from)]
        return [
            shlex.join(["hwsim", "explain", str(side.path), *place, *source])
            for side in (self.a, self.b)
            if side.network is not None
        ]


def compare(path_a: Path, path_b: Path, input_path: Path | None = None, common: bool = False) -> Comparison:
    """Compare two files; a network is traced on `input_path`, else on the other side's input, else on random codes."""
    paths = (path_a, path_b)
    networks = [load(path) if is_network(path) else None for path in paths]
    files = [None if network else RunFile(path) for network, path in zip(networks, paths, strict=True)]
    input_from = _input_file(input_path, networks, files)
    sides = [_side(*each, input_from) for each in zip(paths, networks, files, strict=True)]
    order = list(next((side.run for side in sides if side.network), sides[0].run))
    difference = diff(sides[0].run, sides[1].run, common, order, (str(path_a), str(path_b)))
    return Comparison(sides[0], sides[1], difference, input_from, _note(input_from, networks))


def _input_file(given: Path | None, networks: list[Network | None], files: list[RunFile | None]) -> Path | None:
    """Where the input of the networks comes from; None for random codes, or where nothing is to be traced."""
    if not any(networks):
        if given is not None:
            raise BadInput("--input", str(given), "only beside a network file: both sides are runs already")
        return None
    if given is not None or all(networks):
        return given
    (run,) = (file for file in files if file is not None)
    if INPUT in run:
        return run.path
    raise BadInput("--input", "nothing", f"a .npy of the codes that gave {run.path}, which does not hold its input")


def _side(path: Path, network: Network | None, file: RunFile | None, input_from: Path | None) -> Side:
    if network is None:
        assert file is not None
        return Side(path, file)
    codes = random_codes(network, samples=RANDOM_SAMPLES) if input_from is None else read_codes(input_from, network)
    return Side(path, trace(network, check_codes(network, codes)), network)


def _note(input_from: Path | None, networks: list[Network | None]) -> str:
    if not any(networks):
        return ""
    return f"input: {input_from or f'{RANDOM_SAMPLES} samples of random codes, seed {SEED}, as no --input is given'}"
